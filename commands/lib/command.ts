/**
 * What all commands share: one line of JSON on stdout under `--json`, everything else on stderr, and an exit code that
 * says how it went.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";

/** 0 done · 1 it failed · 2 it was asked for something that cannot be · 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 130;

/** Where a command writes; tests collect, the process prints. */
export interface Output {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Whether stderr is a terminal: only there a progress bar may rewrite its line. */
  readonly terminal: boolean;
}

export interface CommandContext {
  readonly output: Output;
  /** Aborts on Ctrl-C, and on SIGTERM. */
  readonly signal: AbortSignal;
  /** Prints the line of `--json` before the end, for a command that runs on; what it returns is then not printed. */
  readonly announce: (line: JsonLine) => void;
}

export type JsonLine = Readonly<Record<string, unknown>>;

/** A command's work. What it returns is the line of `--json`; without `--json` it has told its story on stderr. */
export type Command = (args: readonly string[], context: CommandContext) => Promise<JsonLine>;

/**
 * Runs a command to an exit code. Failures are printed: code, message and fix, as JSON on stdout under `--json`.
 *
 * @param exitOf for a command whose report may be bad news though the command itself did its work
 */
export async function execute(
  command: Command,
  args: readonly string[],
  { output, signal }: Omit<CommandContext, "announce">,
  exitOf: (line: JsonLine) => ExitCode = () => 0,
): Promise<ExitCode> {
  const json = args.includes("--json");
  let announced = false;
  // One line is all that stdout gets, whatever comes after it.
  const announce = (line: JsonLine) => {
    if (json && !announced) output.stdout(`${JSON.stringify(line)}\n`);
    announced = true;
  };
  try {
    const line = await command(args, { output, signal, announce });
    announce(line);
    return exitOf(line);
  } catch (thrown) {
    if (signal.aborted && thrown === signal.reason) {
      output.stderr("interrupted\n");
      return 130;
    }
    const error = thrown instanceof UnmaskError ? thrown : unexpected(thrown);
    const { code, message, fix, param } = error;
    announce({ error: { code, message, fix, ...(param === undefined ? {} : { param }) } });
    output.stderr(`error: ${message} (${code})\n  fix: ${fix}\n`);
    return error.status < 500 ? 2 : 1;
  }
}

/** Runs a command as this process: its arguments, its streams, Ctrl-C and its exit code. */
export async function main(command: Command, exitOf?: (line: JsonLine) => ExitCode): Promise<never> {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new DOMException("interrupted", "AbortError"));
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, interrupt);
  const output: Output = {
    stdout: (text) => writeAll(Deno.stdout, text),
    stderr: (text) => writeAll(Deno.stderr, text),
    terminal: Deno.stderr.isTerminal(),
  };
  Deno.exit(await execute(command, Deno.args, { output, signal: controller.signal }, exitOf));
}

/** A failure nobody foresaw. On one's own machine its text helps, so it is printed, unlike over HTTP. */
function unexpected(thrown: unknown): UnmaskError {
  return new UnmaskError({
    code: "internal_error",
    message: thrown instanceof Error ? thrown.message : String(thrown),
    fix: "report it with the command that you ran",
    status: 500,
    cause: thrown,
  });
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes: Uint8Array = new TextEncoder().encode(text);
  while (bytes.byteLength > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}
