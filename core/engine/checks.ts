/**
 * What a run is asked for, held against what the graph has, before the runtime sees it: its own refusals are vague, and
 * on the GPU they leave the session unusable.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { OrtSession } from "./ort.ts";
import type { HostTensor, ResidentTensor } from "./types.ts";

export type Feeds = Readonly<Record<string, HostTensor | ResidentTensor>>;

type Inputs = Pick<OrtSession, "inputNames" | "inputMetadata">;

/**
 * Every input is there, of its type and shape, and a symbolic dimension is the same wherever it occurs.
 *
 * @throws `graph_input_missing`, `graph_input_unknown`, `graph_input_mismatch`
 */
export function checkFeeds(graph: string, session: Inputs, feeds: Feeds): void {
  const missing = session.inputNames.filter((name) => !(name in feeds));
  if (missing.length > 0) {
    throw misuse("graph_input_missing", `graph ${graph} lacks its input ${missing.join(", ")}`, "feed it", missing[0]);
  }
  const foreign = Object.keys(feeds).filter((name) => !session.inputNames.includes(name));
  if (foreign.length > 0) {
    const has = `it has ${session.inputNames.join(", ")}`;
    throw misuse("graph_input_unknown", `graph ${graph} has no input ${foreign.join(", ")}`, has, foreign[0]);
  }
  const symbols = new Map<string, number>();
  for (const input of session.inputMetadata) {
    const feed = feeds[input.name];
    if (feed === undefined || !input.isTensor) continue;
    const fits = feed.dtype === input.type && feed.dims.length === input.shape.length &&
      input.shape.every((want, axis) => dimensionFits(want, feed.dims[axis], symbols));
    if (fits) continue;
    throw misuse(
      "graph_input_mismatch",
      `graph ${graph} wants ${input.name} as ${input.type} [${input.shape}] and got ${feed.dtype} [${feed.dims}]`,
      symbols.size === 0 ? "give it so" : `give it so, with ${[...symbols].map(([k, v]) => `${k} = ${v}`).join(", ")}`,
      input.name,
    );
  }
}

/** @throws `graph_output_unknown` */
export function checkOutputs(
  graph: string,
  session: Pick<OrtSession, "outputNames">,
  outputs: readonly string[],
  keep: readonly string[],
): void {
  const unknown = outputs.find((name) => !session.outputNames.includes(name)) ??
    keep.find((name) => !outputs.includes(name));
  if (unknown === undefined) return;
  const has = `it has ${session.outputNames.join(", ")}`;
  throw misuse("graph_output_unknown", `graph ${graph} was not asked for an output ${unknown}`, has, unknown);
}

/** A caller's mistake in this program, not a user's. */
export function misuse(code: string, message: string, fix: string, param?: string): UnmaskError {
  return new UnmaskError({ code, message, fix, status: 500, ...(param === undefined ? {} : { param }) });
}

function dimensionFits(want: number | string, got: number | undefined, symbols: Map<string, number>): boolean {
  if (got === undefined) return false;
  if (typeof want === "number") return got === want;
  const known = symbols.get(want) ?? got;
  // An unnamed dimension is free.
  if (want !== "") symbols.set(want, known);
  return got === known;
}
