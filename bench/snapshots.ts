/**
 * `deno task bench snapshots`: what keeping every step costs the step loop, on the embedded model: with a file, with
 * `denokv`, and with a `denokv` each of whose commits takes half a second more. The loop's own time is what lies between
 * the end of a step and the start of the next: folding, encoding, and any waiting for a store. Beside them a bare loop,
 * which keeps nothing: what it takes is not the snapshots'. All in turn, round after round, so that the ratios are of one
 * machine at one time.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Command } from "../commands/lib/command.ts";
import { denokvPath, DenokvServer, TOKEN } from "../commands/lib/denokv.ts";
import { COMMON_FLAGS, parseFlags, usage } from "../commands/lib/flags.ts";
import { encodePicture } from "../core/image/codec.ts";
import { Ledger } from "../core/runs/ledger.ts";
import { Runs } from "../core/runs/service.ts";
import { drawKind } from "../core/runs/state/draw_kind.ts";
import type { StepEngine } from "../core/runs/step_engine.ts";
import { openStore } from "../core/runs/store/open.ts";
import type { Store } from "../core/runs/store/types.ts";
import { threadEngine } from "../core/runs/thread_engine.ts";
import { Worker } from "../core/runs/worker.ts";
import { ended } from "../core/runs/follow.ts";
import type { DrawState } from "../core/tasks/draw_state.ts";
import { openInference } from "../core/tasks/remote.ts";
import { median } from "./lib/median.ts";

const FLAGS = {
  rounds: { kind: "number", help: "pictures with each store (default: 5)" },
  steps: { kind: "number", help: "steps of a picture (default: 32)" },
  model: { kind: "text", help: "the model's folder (default: models/scenes)" },
  threads: { kind: "number", help: "threads of the model (default: all)" },
  ...COMMON_FLAGS,
} as const;

/** Ms that a slow store's commit takes more. */
const SLOW = 500;
const OWNER = "bench";

/** Ms of one picture's loop: in steps, and between them. */
interface Loop {
  readonly steps: number;
  readonly between: number;
  /** The longest time between two steps. */
  readonly worst: number;
  /** Between two steps, the median. */
  readonly gap: number;
  /** The fastest tenth of the steps takes no more. */
  readonly fast: number;
}

export const snapshotsBench: Command = async (args, { output }) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    output.stderr(`${usage("bench snapshots [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const { rounds = 5, steps = 32, model = "models/scenes", threads } = flags;
  const inference = await openInference({
    modelFolder: model,
    provider: "cpu",
    ...(threads === undefined ? {} : { threads }),
  });
  if (inference.steps === undefined) throw new Error("this inference has no steps");
  const engine = await threadEngine(inference.info, inference.steps, model);
  const folder = await Deno.makeTempDir({ prefix: "unmask-bench-" });
  Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
  const binary = denokvPath();
  const denokv = binary === null ? null : await DenokvServer.start(binary);
  const stores: [string, Store | null][] = [["nothing", null], ["file", await openStore(`${folder}/runs.kv`)]];
  if (denokv === null) output.stderr("no denokv here: only the file store is measured\n");
  else {
    stores.push(["denokv", await openStore(denokv.address)]);
    stores.push(["slow denokv", slow(await openStore(denokv.address))]);
  }
  const loops = new Map<string, Loop[]>(stores.map(([name]) => [name, []]));
  try {
    for (let round = 0; round <= rounds; round++) {
      for (const [name, store] of stores) {
        const loop = store === null ? await bare(engine, steps, round) : await drawWith(store, engine, steps, round);
        // The first round warms up.
        if (round > 0) loops.get(name)?.push(loop);
      }
    }
  } finally {
    for (const [, store] of stores) await store?.close();
    await denokv?.stop();
    await inference.close();
    await Deno.remove(folder, { recursive: true });
  }
  const shares = (name: string) => (loops.get(name) ?? []).map(({ steps, between }) => between / (steps + between));
  const bareShare = median(shares("nothing"));
  const report = Object.fromEntries([...loops].map(([name, list]) => {
    const share = median(shares(name));
    const step = median(list.map(({ steps: sum }) => sum / steps));
    const worst = median(list.map(({ worst }) => worst));
    const snapshots = share - bareShare;
    // On a busy machine long steps are interrupted and short gaps are not: against a step that was left alone, too.
    const [gap, fast] = [median(list.map(({ gap }) => gap)), Math.min(...list.map(({ fast }) => fast))];
    const strict = gap / (gap + fast);
    output.stderr(
      `${name}: ${(100 * share).toFixed(2)} % of the loop's time is not the model's` +
        (name === "nothing" ? "" : `, ${(100 * snapshots).toFixed(2)} % for keeping it`) +
        ` (a step ${step.toFixed(1)} ms, between two at most ${worst.toFixed(2)} ms; the usual ${
          gap.toFixed(2)
        } ms are ` +
        `${(100 * strict).toFixed(2)} % beside the fastest steps' ${fast.toFixed(1)} ms)\n`,
    );
    return [name.replace(" ", "_"), {
      share,
      snapshots,
      step_ms: step,
      worst_ms: worst,
      gap_ms: gap,
      fast_step_ms: fast,
      strict,
    }];
  }));
  return { rounds, steps, stores: report };
};

const inputOf = (seed: number, steps: number) => ({ prompt: "a photo of a red car and a blue dog", seed, steps });

/** The same steps, of which nothing is kept. */
async function bare(engine: StepEngine, steps: number, seed: number): Promise<Loop> {
  const { watched, loop } = watch(engine);
  let state = await watched.start("draw", drawKind.parse(inputOf(seed, steps)));
  const stepper = await watched.open("draw", state);
  for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) {
    state = drawKind.fold(state as DrawState, delta);
    await new Promise((resolve) => setImmediate(resolve));
    if (drawKind.done(state as DrawState)) break;
  }
  await stepper.close();
  return loop();
}

async function drawWith(store: Store, engine: StepEngine, steps: number, seed: number): Promise<Loop> {
  const ledger = new Ledger(store);
  const runs = new Runs({ ledger, kinds: [drawKind] });
  const { watched, loop } = watch(engine);
  const worker = new Worker({
    ledger,
    engine: watched,
    kinds: [drawKind],
    encode: (picture) => encodePicture(picture, "png"),
    slots: 1,
  });
  const { record } = await runs.create(OWNER, { task: "draw", input: inputOf(seed, steps) });
  worker.start();
  const last = await ended(ledger, OWNER, record.id, AbortSignal.timeout(300_000));
  await worker.stop();
  if (last?.state !== "succeeded") throw new Error(`a run of the bench ended as ${last?.state}`);
  return loop();
}

/** The engine, with the times of its steps. */
function watch(engine: StepEngine): { watched: StepEngine; loop: () => Loop } {
  const times: [number, number][] = [];
  const watched: StepEngine = {
    ...engine,
    open: async (task, state) => {
      const stepper = await engine.open(task, state);
      return {
        close: () => stepper.close(),
        step: async () => {
          const start = performance.now();
          const delta = await stepper.step();
          times.push([start, performance.now()]);
          return delta;
        },
      };
    },
  };
  const loop = () => {
    const gaps = times.slice(1).map(([start], i) => start - (times[i]?.[1] ?? start));
    const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
    const took = times.map(([start, end]) => end - start).toSorted((a, b) => a - b);
    return {
      steps: sum(took),
      between: sum(gaps),
      worst: Math.max(...gaps),
      gap: median(gaps),
      fast: took[Math.floor(took.length / 10)] ?? 0,
    };
  };
  return { watched, loop };
}

/** The same store, whose every commit is told of late. */
function slow(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "commit") {
        return async (...args: Parameters<Store["commit"]>) => {
          const result = await target.commit(...args);
          await new Promise((resolve) => setTimeout(resolve, SLOW));
          return result;
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
