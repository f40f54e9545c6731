/**
 * The PyTorch sides of a benchmark: a Python process that answers JSON requests, one a line (training/bench/serve.py).
 *
 * @module
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";

const failure = z.object({ error: z.string() });

/** One request at a time. */
export class PythonSide {
  #child: Deno.ChildProcess;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #lines: AsyncIterator<string>;
  #tail = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#lines = createInterface({ input: Readable.fromWeb(child.stdout as never) })[Symbol.asyncIterator]();
    void this.#keepTail(child.stderr);
  }

  /** @param python name or path of an interpreter @throws `python_missing`, `torch_missing` */
  static async open(python: string): Promise<PythonSide> {
    await checkTorch(python);
    const script = new URL("../../training/bench/serve.py", import.meta.url);
    const command = new Deno.Command(python, {
      args: ["-u", Deno.realPathSync(script)],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    return new PythonSide(command.spawn());
  }

  /** @throws `python_failed` with the other side's own words */
  async call<T>(call: string, request: Readonly<Record<string, unknown>>, answer: z.ZodType<T>): Promise<T> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify({ call, ...request })}\n`));
    const line = await this.#lines.next();
    if (line.done === true) {
      const { code, signal } = await this.#child.status;
      const words = this.#tail.trim().split("\n").at(-1) || "it said nothing";
      throw failed(`Python ended during ${call} (${signal ?? `exit code ${code}`}): ${words}`);
    }
    const value: unknown = JSON.parse(line.value);
    const error = failure.safeParse(value);
    if (error.success) throw failed(`Python failed in ${call}: ${error.data.error}`);
    return answer.parse(value);
  }

  async close(): Promise<void> {
    await this.#writer.close().catch(() => undefined); // it may have ended
    await this.#child.status;
  }

  async #keepTail(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#tail = (this.#tail + text).slice(-4000);
  }
}

async function checkTorch(python: string): Promise<void> {
  const check = new Deno.Command(python, { args: ["-c", "import torch, numpy, safetensors"], stderr: "piped" });
  // A program that is not there throws at once, not through the promise.
  const result = await Promise.try(() => check.output()).catch((cause: unknown) => {
    throw new UnmaskError({
      code: "python_missing",
      message: "there is no Python of that name",
      fix: "name one that has torch, numpy and safetensors by --python or UNMASK_PYTHON, or use --no-torch",
      param: "python",
      cause,
    });
  });
  if (result.success) return;
  const last = new TextDecoder().decode(result.stderr).trim().split("\n").at(-1);
  throw new UnmaskError({
    code: "torch_missing",
    message: `this Python cannot run the PyTorch sides: ${last}`,
    fix: "name one that has torch, numpy and safetensors by --python or UNMASK_PYTHON, or use --no-torch",
    param: "python",
  });
}

function failed(message: string): UnmaskError {
  const fix = "see the message; --no-torch measures the runtime alone";
  return new UnmaskError({ code: "python_failed", message, fix, status: 500 });
}
