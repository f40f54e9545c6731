/** A command's run, collected: what it wrote and how it ended. */
import { type Command, execute, type ExitCode } from "../../commands/lib/command.ts";

export interface Collected {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

export async function collect(
  command: Command,
  args: readonly string[],
  options: { readonly terminal?: boolean; readonly signal?: AbortSignal } = {},
): Promise<Collected> {
  let [stdout, stderr] = ["", ""];
  const code = await execute(command, args, {
    output: {
      stdout: (text) => void (stdout += text),
      stderr: (text) => void (stderr += text),
      terminal: options.terminal ?? false,
    },
    signal: options.signal ?? new AbortController().signal,
  });
  return { code, stdout, stderr };
}
