/**
 * `deno task fuzz [--requests N] [--seed S]`: requests drawn from the OpenAPI document against a real server, each answer
 * looked at (fuzz/oracle.ts). With `--schemathesis PROGRAM` that tool tries the same document beside it.
 *
 * @module
 */
import fc from "fast-check";
import { UnmaskError } from "../core/errors.ts";
import { OPERATIONS } from "../functions/openapi/document.ts";
import { wrongWith } from "./fuzz/oracle.ts";
import { requestOf } from "./fuzz/requests.ts";
import { type Command, type ExitCode, type JsonLine, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { startServer } from "./lib/start_server.ts";

const FLAGS = {
  requests: { kind: "number", help: "requests to send (default: 10000)" },
  seed: { kind: "number", help: "what is drawn (default: 1)" },
  url: { kind: "text", help: "a server that runs already (default: one of its own, with its runs in memory)" },
  schemathesis: { kind: "text", help: "the program of that name, to try the document too" },
  ...COMMON_FLAGS,
} as const;

/** Ids that are remembered for later guesses. */
const REMEMBERED = 50;

export const fuzzCommand: Command = async (args, { output }) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    output.stderr(`${usage("fuzz [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const { requests = 10_000, seed = 1 } = flags;
  if (!Number.isInteger(requests) || requests < 1) {
    throw new UnmaskError({
      code: "requests_out_of_range",
      message: "this number of requests is not possible",
      fix: "use a whole number above 0",
      param: "requests",
    });
  }
  const server = flags.url === undefined ? await startServer() : null;
  const url = flags.url ?? server?.url ?? "";
  try {
    const report = await fuzz(url, requests, seed, (text) => output.stderr(text));
    const other = flags.schemathesis === undefined
      ? {}
      : { schemathesis: await trySchemathesis(flags.schemathesis, url) };
    output.stderr(`${report.sent} requests, ${report.violation === null ? "nothing" : "something"} was wrong\n`);
    return { ...report, ...other };
  } finally {
    await server?.stop();
  }
};

export interface FuzzReport extends JsonLine {
  readonly sent: number;
  readonly seed: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** The smallest request found that is answered wrongly, and what is wrong. */
  readonly violation: string | null;
}

export async function fuzz(
  url: string,
  requests: number,
  seed: number,
  say: (text: string) => void = () => {},
): Promise<FuzzReport> {
  const ids: string[] = [];
  const remember = (id: string) => void (ids.length < REMEMBERED ? ids.push(id) : ids[sent % REMEMBERED] = id);
  const statuses: Record<string, number> = {};
  let sent = 0;
  const property = fc.asyncProperty(requestOf(OPERATIONS, () => ids), async (request) => {
    sent++;
    if (sent % 1000 === 0) say(`${sent} requests\n`);
    const wrong = await wrongWith(url, request, remember);
    const key = wrong === null ? "right" : "wrong";
    statuses[key] = (statuses[key] ?? 0) + 1;
    if (wrong !== null) throw new Error(wrong);
  });
  const result = await fc.check(property, { numRuns: requests, seed, endOnFailure: false });
  const [request] = result.counterexample ?? [];
  const violation = request === undefined ? null : JSON.stringify({
    wrong: result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance),
    method: request.operation.method,
    path: request.path,
    headers: request.headers,
    body: request.body,
  });
  if (violation !== null) say(`${violation}\n`);
  return { sent, seed, statuses, violation };
}

/** Whether it found nothing. Its report goes to stderr. */
async function trySchemathesis(program: string, url: string): Promise<boolean> {
  // It leaves a folder of its own where it runs.
  const folder = await Deno.makeTempDir({ prefix: "unmask-schemathesis-" });
  const { success } = await new Deno.Command(await Deno.realPath(program).catch(() => program), {
    cwd: folder,
    args: [
      "run",
      `${url}/openapi.json`,
      ...[
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
      ],
      ...["--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--request-timeout", "10", "--seed", "1"],
      ...["--header", "x-unmask: 1", "--header", "prefer: wait=1", "--workers", "1", "--no-color"],
    ],
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status.finally(() => Deno.remove(folder, { recursive: true }));
  return success;
}

const exitOf = (line: JsonLine): ExitCode =>
  line["help"] === true || (line["violation"] === null && line["schemathesis"] !== false) ? 0 : 1;

if (import.meta.main) await main(fuzzCommand, exitOf);
