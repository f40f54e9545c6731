/** One run in a process of its own, for observe.test.ts: Deno's OpenTelemetry is set up when a process starts. */
import { Ledger } from "../../core/runs/ledger.ts";
import { Runs } from "../../core/runs/service.ts";
import { drawKind } from "../../core/runs/state/draw_kind.ts";
import { openMemory } from "../../core/runs/store/open.ts";
import { Worker } from "../../core/runs/worker.ts";
import { ended } from "../../core/runs/follow.ts";
import { observers } from "../../functions/observe/observers.ts";
import { plainFile, tableEngine } from "../core/runs/table_engine.ts";

const store = await openMemory();
const { observe } = observers();
const ledger = new Ledger(store, { observe });
const worker = new Worker({ ledger, engine: tableEngine(), kinds: [drawKind], encode: plainFile, poll: 20 });
const runs = new Runs({ ledger, kinds: [drawKind] });
const { record } = await runs.create("anyone", { task: "draw", input: { prompt: "a dog", seed: 1, steps: 4 } });
worker.start();
await ended(ledger, record.owner, record.id, new AbortController().signal);
await worker.stop();
await store.close();
