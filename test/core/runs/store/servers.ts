/** A real `denokv` server for tests, and the four stores that one contract is held against. */

import { openStore } from "../../../../core/runs/store/open.ts";
import type { OpenOptions } from "../../../../core/runs/store/open.ts";
import type { Store } from "../../../../core/runs/store/types.ts";

export const TOKEN = "a-token-of-the-tests";

/** The version that `.ci/setup.sh` builds. */
const VERSION = "0.14.0";

/** Where a built `denokv` lies, or null; loud about it, since what needs it then does not run. */
export function findDenokv(): string | null {
  const home = Deno.env.get("HOME") ?? "";
  const cache = Deno.env.get("UNMASK_CACHE") ?? `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/unmask`;
  const path = Deno.env.get("UNMASK_DENOKV") ?? `${cache}/denokv-${VERSION}/bin/denokv`;
  try {
    if (Deno.statSync(path).isFile) return path;
  } catch {
    // Told below.
  }
  const missing = "NO DENOKV: what a shared store must do is NOT tested. `bash .ci/setup.sh` builds it once.";
  if (Deno.env.get("UNMASK_REQUIRE_DENOKV") === "1") throw new Error(missing);
  console.error(`\n*** ${missing} ***\n`);
  return null;
}

/** A server on a port of its own, with the database in a folder of its own. */
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

/** One kind of store: a place, and as many handles on it as it allows. */
export interface Kind {
  readonly name: string;
  /** Why it cannot be tested here, or null. */
  readonly missing: string | null;
  /** Prepares a fresh, empty place. */
  place(): Promise<Place>;
}

export interface Place {
  open(options?: OpenOptions): Promise<Store>;
  /** After every handle was closed. */
  remove(): Promise<void>;
}

/** All kinds; `denokv` counts as missing, not as passed, where it was never built. */
export function kinds(): Kind[] {
  const denokv = findDenokv();
  const remote = (client: "deno" | "npm"): Kind => ({
    name: `denokv, the client of ${client === "deno" ? "Deno" : "@deno/kv"}`,
    missing: denokv === null ? "no denokv" : null,
    async place() {
      if (denokv === null) throw new Error("no denokv");
      const server = await DenokvServer.start(denokv);
      Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
      return {
        open: (options) => openStore(server.address, { client, ...options }),
        remove: () => server.stop(),
      };
    },
  });
  return [
    {
      name: "memory",
      missing: null,
      place: () =>
        Promise.resolve({ open: (options) => openStore(":memory:", options), remove: () => Promise.resolve() }),
    },
    {
      name: "file",
      missing: null,
      async place() {
        const folder = await Deno.makeTempDir({ prefix: "unmask-store-" });
        return {
          open: (options) => openStore(`${folder}/runs.kv`, options),
          remove: () => Deno.remove(folder, { recursive: true }),
        };
      },
    },
    remote("deno"),
    remote("npm"),
  ];
}
