/**
 * Requests that nobody would send, and some that somebody would: drawn by fast-check for every operation of the OpenAPI
 * document, from its own schemas' fields.
 *
 * @module
 */
import fc from "fast-check";
import { z } from "zod";
import type { Operation } from "../../functions/openapi/operation.ts";

export interface FuzzRequest {
  readonly operation: Operation;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** Ids of this server's own making are among the guesses: they get past the first look. */
const GUESSES = [
  "run_01jgexn8zyq4v8g7h3m2k5p9r0",
  "scenes",
  "unmask",
  "abc",
  "%00",
  "..%2f..%2fetc%2fpasswd",
  "ü",
  "a b",
];

const edgeNumbers = fc.constantFrom(0, -0, -1, 1, 2, 1.5, 256, 257, 65_536, 2 ** 31, 2 ** 53, 1e308, -1e308);
const text = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("", "a photo of a dog", "\u0000", "\ud800", "‮", "a".repeat(5000), "http://127.0.0.1/", "data:,"),
);
const anything = fc.oneof(
  { weight: 3, arbitrary: text },
  { weight: 3, arbitrary: edgeNumbers },
  { weight: 2, arbitrary: fc.constantFrom(null, true, false, [], {}) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
);

const draw = fc.record({
  prompt: fc.constantFrom("a photo of a dog", "a photo of two cups", "a photo of a red car"),
  seed: fc.nat(),
  // One step: this is about doors, not pictures.
  steps: fc.constant(1),
});

/** Bodies that are right: they get behind the checks. By path. */
const RIGHT: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  "/v1/runs": fc.record({ task: fc.constant("draw"), input: draw }),
  "/v1/runs/estimate": fc.record({ task: fc.constant("draw"), input: draw }),
  "/v1/images/generations": draw,
  "/predictions": fc.record({ input: draw }),
  "/predictions/{id}": fc.record({ input: draw }),
  "/replicate/v1/predictions": fc.record({ input: draw }),
  "/v2/{endpoint}/run": fc.record({ input: draw }),
  "/v2/{endpoint}/runsync": fc.record({ input: draw }),
};

/** The fields of a schema, some of them, each with anything. */
function fieldsOf(schema: z.ZodType | undefined): fc.Arbitrary<unknown> {
  if (!(schema instanceof z.ZodObject)) return anything;
  const names = Object.keys(schema.shape);
  const field = fc.tuple(fc.constantFrom(...names, "input", "surprise", "__proto__"), anything);
  return fc.array(field, { maxLength: 8 }).map((pairs) => JSON.parse(JSON.stringify(Object.fromEntries(pairs))));
}

/** A right body with one field changed. */
function spoiled(right: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.tuple(right, fc.constantFrom("prompt", "seed", "steps", "input", "task", "webhook", "size"), anything)
    .map(([body, name, value]) => ({ ...(body as Record<string, unknown>), [name]: value }));
}

function bodyOf({ path, body }: Operation): fc.Arbitrary<string | null> {
  if (body === undefined) return fc.constant(null);
  const right = RIGHT[path];
  const json = (arbitrary: fc.Arbitrary<unknown>) => arbitrary.map((value) => JSON.stringify(value) ?? "");
  return fc.oneof(
    { weight: 5, arbitrary: json(fieldsOf(body.schema)) },
    { weight: 3, arbitrary: json(anything) },
    { weight: 2, arbitrary: text },
    ...(right === undefined ? [] : [
      { weight: 6, arbitrary: json(right) },
      { weight: 5, arbitrary: json(spoiled(right)) },
    ]),
  );
}

const plainHeader = fc.string({ maxLength: 30 }).map((value) => value.replace(/[^\x20-\x7e]/g, "?"));

function headersOf({ headers = {}, body }: Operation): fc.Arbitrary<Record<string, string>> {
  const type = fc.oneof(
    { weight: 12, arbitrary: fc.constant("application/json") },
    {
      weight: 1,
      arbitrary: fc.constantFrom("text/plain", "application/json; charset=latin1", "multipart/form-data", ""),
    },
  );
  const values: Record<string, fc.Arbitrary<string>> = {
    // A caller who waits for as long as it takes is no fault of the server's.
    prefer: fc.oneof(
      fc.constantFrom("respond-async", "wait=1", "wait=0"),
      plainHeader.map((value) => `wait=1, ${value}`),
    ),
    "cancel-after": fc.oneof(fc.constantFrom("30", "1m30s"), plainHeader),
  };
  const own = Object.keys(headers).map((name) => [name, values[name] ?? plainHeader] as const);
  const needed = "prefer" in headers ? { requiredKeys: ["prefer" as const] } : { requiredKeys: [] };
  return fc.tuple(
    fc.record(Object.fromEntries(own), needed as { requiredKeys: string[] }),
    type,
    // Most come as a caller does who is let in: what they ask for is looked at then.
    fc.oneof(
      { weight: 6, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.constantFrom("Bearer other", "Bearer umk_0000000000000000_x", "Basic eA==") },
    ),
  ).map(([given, contentType, authorization]) => ({
    "x-unmask": "1",
    ...given,
    ...(body === undefined ? {} : { "content-type": contentType }),
    ...(authorization === null ? {} : { authorization }),
  }));
}

/** @param ids of runs that are there, as they become known */
export function requestOf(operations: readonly Operation[], ids: () => readonly string[]): fc.Arbitrary<FuzzRequest> {
  const segment = fc.oneof(
    fc.constantFrom(...GUESSES),
    fc.nat().map((n) => ids()[n % Math.max(1, ids().length)] ?? "none"),
    fc.string({ minLength: 1, maxLength: 40 }).map((value) => encodeURIComponent(value.toWellFormed())),
  );
  return fc.constantFrom(...operations).chain((operation) => {
    const names = [...operation.path.matchAll(/\{(\w+)\}/g)];
    const query = fc.record(
      Object.fromEntries(Object.keys(operation.query ?? {}).map((name) => [name, fc.oneof(text, edgeNumbers)])),
      { requiredKeys: [] },
    );
    return fc.tuple(
      fc.array(segment, { minLength: names.length, maxLength: names.length }),
      query,
      headersOf(operation),
      bodyOf(operation),
    ).map(([segments, values, headers, body]) => {
      let index = 0;
      const filled = operation.path.replace(/\{\w+\}/g, () => segments[index++] ?? "x");
      const search = new URLSearchParams(
        Object.entries(values).map(([name, value]) => [name, String(value).toWellFormed()]),
      );
      // `.` and `..` would be another path.
      const path = filled.replaceAll(/\/(\.|%2e)+(?=\/|$)/gi, "/dot");
      return { operation, path: `${path}${search.size === 0 ? "" : `?${search}`}`, headers, body };
    });
  });
}
