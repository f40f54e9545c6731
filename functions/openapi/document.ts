/**
 * The OpenAPI 3.1 document, generated from the operations and their zod schemas. Cog's clients find `Input` and `Output`
 * among its components.
 *
 * @module
 */
import { z } from "zod";
import { JOB_OPERATIONS } from "./job_operations.ts";
import * as jobs from "./job_operations.ts";
import { OPENAI_OPERATIONS } from "./openai_operations.ts";
import * as openai from "./openai_operations.ts";
import { type Content, errorSchema, type Operation } from "./operation.ts";
import { RUN_OPERATIONS } from "./run_operations.ts";
import * as runs from "./run_operations.ts";
import { SERVER_OPERATIONS } from "./server_operations.ts";
import * as server from "./server_operations.ts";

export const OPERATIONS: readonly Operation[] = [
  ...RUN_OPERATIONS,
  ...OPENAI_OPERATIONS,
  ...JOB_OPERATIONS,
  ...SERVER_OPERATIONS,
];

type JsonObject = { readonly [name: string]: unknown };

const REF = "#/components/schemas/";
/** What `z.json()` is, once for all. */
const JSON_VALUE: JsonObject = {
  description: "Any JSON value",
  type: ["string", "number", "boolean", "null", "array", "object"],
};

/** Names of exported schemas: `runSchema` is the component `Run`. */
const NAMES = new Map<unknown, string>(
  [runs, openai, jobs, server].flatMap((module) =>
    Object.entries(module)
      .filter(([, value]) => value instanceof z.ZodType)
      .map(([name, value]) => [value, componentName(name)] as const)
  ),
);
NAMES.set(jobs.inputComponent, "Input").set(jobs.outputComponent, "Output").set(errorSchema, "Error");

function componentName(name: string): string {
  const plain = name.replace(/(Schema|Body|Form|Component)$/, "");
  const suffix = /(Body|Form)$/.test(name) ? "Request" : "";
  return `${plain.charAt(0).toUpperCase()}${plain.slice(1)}${suffix}`;
}

export function openApiDocument(version: string): JsonObject {
  const components: Record<string, JsonObject> = { Json: JSON_VALUE };
  const ref = (schema: z.ZodType, io: "input" | "output"): JsonObject => {
    const name = NAMES.get(schema);
    if (name === undefined) return jsonSchema(schema, io);
    components[name] ??= jsonSchema(schema, io);
    return { $ref: `${REF}${name}` };
  };
  ref(jobs.inputComponent, "input");
  ref(jobs.outputComponent, "output");
  ref(errorSchema, "output");
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const operation of OPERATIONS) {
    (paths[operation.path] ??= {})[operation.method] = describe(operation, ref);
  }
  return {
    openapi: "3.1.0",
    info: { title: "unmask", version, license: { name: "MIT", identifier: "MIT" } },
    paths,
    components: {
      schemas: components,
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
    security: [{ key: [] }, {}],
  };
}

type Reference = (schema: z.ZodType, io: "input" | "output") => JsonObject;

function describe(operation: Operation, ref: Reference): JsonObject {
  const { method, path, tag, summary, query = {}, headers = {}, body, answers, open } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string", minLength: 1 },
  }));
  const listed = (place: "query" | "header", values: Readonly<Record<string, z.ZodType>>) =>
    Object.entries(values).map(([name, schema]) => ({ name, in: place, schema: jsonSchema(schema, "input") }));
  const errors = { description: "Refused", content: { "application/json": { schema: ref(errorSchema, "output") } } };
  const retry = { "retry-after": { schema: { type: "integer" }, description: "Seconds" } };
  return {
    operationId: `${method}${path.replace(/[^\w]+(\w)?/g, (_, next: string = "") => next.toUpperCase())}`,
    tags: [tag],
    summary,
    ...(open === true ? { security: [{}] } : {}),
    ...(inPath.length + Object.keys(query).length + Object.keys(headers).length === 0
      ? {}
      : { parameters: [...inPath, ...listed("query", query), ...listed("header", headers)] }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: contentOf([body], "input", ref) } }),
    responses: {
      "4XX": errors,
      "429": { ...errors, headers: retry },
      "501": errors,
      "503": { ...errors, headers: retry },
      ...Object.fromEntries(
        Object.entries(answers).map(([status, contents]) => [
          status,
          { description: "Done", content: contentOf(contents, "output", ref) },
        ]),
      ),
    },
  };
}

function contentOf(contents: readonly Content[], io: "input" | "output", ref: Reference): JsonObject {
  return Object.fromEntries(
    contents.map(({ type, schema }) => [type, schema === undefined ? {} : { schema: ref(schema, io) }]),
  );
}

/** Draft 2020-12, as OpenAPI 3.1 has it, with the one recursive schema (any JSON) as a component. */
function jsonSchema(schema: z.ZodType, io: "input" | "output"): JsonObject {
  const { $schema: _, $defs = {}, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  for (const [name, definition] of Object.entries($defs)) {
    if (JSON.stringify(definition).includes('"prefixItems"') || !("anyOf" in definition)) {
      throw new Error(`the schema ${name} is recursive and not JSON itself: give it a component of its own`);
    }
  }
  return JSON.parse(
    JSON.stringify(rest, (key, value) => key === "propertyNames" ? undefined : value)
      .replaceAll(/"#\/\$defs\/__schema\d+"/g, `"${REF}Json"`),
  );
}
