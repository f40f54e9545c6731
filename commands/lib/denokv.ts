/**
 * A real `denokv` server for what several processes share: tests, `deno task chaos` and `deno task bench queue`. Built by
 * `.ci/setup.sh`, never downloaded.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";

/** At least 16 characters, or the server does not start. */
export const TOKEN = "a-token-of-this-machine";

/** The version that `.ci/setup.sh` builds. */
const VERSION = "0.14.0";

/** Where a built `denokv` lies, or null. */
export function denokvPath(): string | null {
  const home = Deno.env.get("HOME") ?? "";
  const cache = Deno.env.get("UNMASK_CACHE") ?? `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/unmask`;
  const path = Deno.env.get("UNMASK_DENOKV") ?? `${cache}/denokv-${VERSION}/bin/denokv`;
  try {
    return Deno.statSync(path).isFile ? path : null;
  } catch {
    return null;
  }
}

/** @throws {UnmaskError} `denokv_missing` */
export function requireDenokv(): string {
  const path = denokvPath();
  if (path !== null) return path;
  throw new UnmaskError({
    code: "denokv_missing",
    message: "there is no denokv on this machine",
    fix: "cargo install denokv --version 0.14.0 --locked, then set UNMASK_DENOKV to the binary",
    status: 500,
  });
}

/** A server on a port of its own, with the database in a folder of its own. Clients want `DENO_KV_ACCESS_TOKEN`. */
export class DenokvServer {
  readonly address: string;
  readonly #folder: string;
  readonly #binary: string;
  readonly #port: number;
  #process: Deno.ChildProcess | null = null;

  private constructor(binary: string, folder: string, port: number) {
    [this.#binary, this.#folder, this.#port] = [binary, folder, port];
    this.address = `http://127.0.0.1:${port}`;
  }

  static async start(binary: string): Promise<DenokvServer> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    const server = new DenokvServer(binary, await Deno.makeTempDir({ prefix: "unmask-denokv-" }), port);
    await server.up();
    return server;
  }

  /** Starts it (again), and waits until it answers. */
  async up(): Promise<void> {
    this.#process = new Deno.Command(this.#binary, {
      args: ["--sqlite-path", `${this.#folder}/kv.sqlite`, "serve", "--addr", `127.0.0.1:${this.#port}`],
      env: { DENO_KV_ACCESS_TOKEN: TOKEN },
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let attempt = 0; attempt < 200; attempt++) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port: this.#port })).close();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    throw new Error("denokv did not begin to listen within 10 s");
  }

  /** Kills it, as a crash would; the database stays. */
  async down(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.status;
    this.#process = null;
  }

  async stop(): Promise<void> {
    await this.down();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
