/**
 * What an answer may be, whatever was asked: no failure of the server's but a 503 that says when to come back, an answer
 * within ten seconds, nothing of the machine in it, and the schema that the document promises.
 *
 * @module
 */
import { errorSchema, type Operation } from "../../functions/openapi/operation.ts";
import type { FuzzRequest } from "./requests.ts";

/** Ms. */
export const PATIENCE = 10_000;

/** Of a stack, of a file's place, of a package. */
const LEAKS = [
  /\bat \S+ \(?(file|node|ext|npm):/,
  /file:\/\//,
  /node_modules/,
  /\.tsx?:\d+/,
  /"(\/(home|root|usr|tmp|work|var)\/)/,
];

/** Sends it. @returns what is wrong with the answer; null: nothing. @throws nothing: an answer that does not come is wrong */
export async function wrongWith(
  base: string,
  { operation, path, headers, body }: FuzzRequest,
  onRun: (id: string) => void,
): Promise<string | null> {
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(), PATIENCE);
  try {
    const response = await fetch(`${base}${path}`, {
      method: operation.method.toUpperCase(),
      headers,
      signal: given.signal,
      redirect: "manual",
      ...(body === null ? {} : { body }),
    });
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith("text/event-stream")) {
      // A stream may go on for as long as its run: its beginning is enough.
      const reader = response.body?.getReader();
      await reader?.read();
      await reader?.cancel();
      return documented(operation, response.status, type) ? null : `an undocumented stream with ${response.status}`;
    }
    const text = await response.text();
    return judge(operation, response, type, text, onRun);
  } catch (error) {
    if (given.signal.aborted) return `no answer within ${PATIENCE} ms`;
    return `the connection broke: ${error instanceof Error ? error.message : error}`;
  } finally {
    clearTimeout(timer);
  }
}

export function judge(
  operation: Operation,
  { status, headers }: Pick<Response, "status" | "headers">,
  type: string,
  text: string,
  onRun: (id: string) => void,
): string | null {
  const leak = LEAKS.find((pattern) => pattern.test(text));
  // Our own page and document may name files.
  if (leak !== undefined && type.includes("json") && operation.path !== "/openapi.json") return `a leak: ${leak}`;
  if (status === 503 && operation.path !== "/health") {
    if (headers.get("retry-after") === null) return "a 503 without Retry-After";
  } else if (status >= 500 && !(status === 501 && type.includes("json"))) return `${status}: ${text.slice(0, 300)}`;
  if (headers.get("x-request-id") === null) return "no x-request-id";
  if (status >= 400 && !(status in operation.answers)) {
    const parsed = errorSchema.safeParse(parse(text));
    return parsed.success ? null : `${status} is no error of ours: ${text.slice(0, 200)}`;
  }
  if (!documented(operation, status, type)) return `${status} ${type} is not documented`;
  const schema = operation.answers[status]?.find((content) => content.type === "application/json")?.schema;
  if (schema === undefined || !type.includes("json")) return null;
  const value = parse(text);
  const parsed = schema.safeParse(value);
  if (!parsed.success) return `${status} does not fit its schema: ${parsed.error.message.slice(0, 300)}`;
  const { id } = (value ?? {}) as { readonly id?: unknown };
  if (typeof id === "string") onRun(id);
  return null;
}

function documented({ answers }: Operation, status: number, type: string): boolean {
  return answers[status]?.some((content) => {
    const [group] = content.type.split("/");
    return type.startsWith(content.type) || (content.type === "image/*" && type.startsWith(`${group}/`));
  }) ?? false;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
