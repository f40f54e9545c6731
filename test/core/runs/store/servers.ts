/** A real `denokv` server for tests, and the four stores that one contract is held against. */

import { denokvPath, DenokvServer, TOKEN } from "../../../../commands/lib/denokv.ts";
import { openStore } from "../../../../core/runs/store/open.ts";
import type { OpenOptions } from "../../../../core/runs/store/open.ts";
import type { Store } from "../../../../core/runs/store/types.ts";

/** Where a built `denokv` lies, or null; loud about it, since what needs it then does not run. */
export function findDenokv(): string | null {
  const path = denokvPath();
  if (path !== null) return path;
  const missing = "NO DENOKV: what a shared store must do is NOT tested. `bash .ci/setup.sh` builds it once.";
  if (Deno.env.get("UNMASK_REQUIRE_DENOKV") === "1") throw new Error(missing);
  console.error(`\n*** ${missing} ***\n`);
  return null;
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
