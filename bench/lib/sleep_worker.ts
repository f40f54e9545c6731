/**
 * A worker process of `deno task bench queue`: `sleep_worker.ts STORE MILLISECONDS`, until SIGTERM.
 *
 * @module
 */
import { Ledger } from "../../core/runs/ledger.ts";
import { drawKind } from "../../core/runs/state/draw_kind.ts";
import { openStore } from "../../core/runs/store/open.ts";
import { Worker } from "../../core/runs/worker.ts";
import { sleepEngine } from "./sleep_engine.ts";

const [address = "", milliseconds = "200"] = Deno.args;
const store = await openStore(address);
const worker = new Worker({
  ledger: new Ledger(store),
  engine: sleepEngine(Number(milliseconds)),
  kinds: [drawKind],
  encode: ({ data }) => Promise.resolve(data),
});
worker.start();
console.log("ready");
await new Promise<void>((resolve) => Deno.addSignalListener("SIGTERM", resolve));
await worker.stop();
await store.close();
Deno.exit(0);
