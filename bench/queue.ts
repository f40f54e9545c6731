/**
 * `deno task bench queue`: worker processes on one `denokv` with each step a sleep. Eight against one in runs finished in
 * the same time, and a claim from a long queue against one from a short one: ratios of one run of this command.
 *
 * @module
 */
import { type Command } from "../commands/lib/command.ts";
import { DenokvServer, requireDenokv, TOKEN } from "../commands/lib/denokv.ts";
import { COMMON_FLAGS, parseFlags, usage } from "../commands/lib/flags.ts";
import { Ledger } from "../core/runs/ledger.ts";
import { Queue } from "../core/runs/queue.ts";
import { parseRecord } from "../core/runs/record.ts";
import { Runs } from "../core/runs/service.ts";
import { drawKind } from "../core/runs/state/draw_kind.ts";
import { openStore } from "../core/runs/store/open.ts";
import { listAll, type Store } from "../core/runs/store/types.ts";
import { median } from "./lib/median.ts";

const FLAGS = {
  workers: { kind: "number", help: "worker processes against one (default: 8)" },
  seconds: { kind: "number", help: "of each measurement (default: 20)" },
  ...COMMON_FLAGS,
} as const;

/** Ms of a step, and steps of a run. */
const SLEEP = 200;
const STEPS = 5;
/** Seconds between the last worker's start and the measurement. */
const WARM = 4;
const CLAIMS = 25;
const LONG = 1000;
const OWNER = "bench";

export const queueBench: Command = async (args, { output }) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    output.stderr(`${usage("bench queue [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const { workers = 8, seconds = 20 } = flags;
  const binary = requireDenokv();
  Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
  const [one, many] = [await finished(binary, 1, seconds), await finished(binary, workers, seconds)];
  output.stderr(
    `runs of ${STEPS} steps of ${SLEEP} ms in ${seconds} s: 1 worker ${one}, ${workers} workers ${many}: ` +
      `${(many / one).toFixed(2)}x\n`,
  );
  const claims = await claimTimes(binary);
  output.stderr(
    `a claim with ${CLAIMS} queued ${claims.short.toFixed(1)} ms, with ${LONG} more ${claims.long.toFixed(1)} ms: ` +
      `${claims.ratio.toFixed(2)}x\n`,
  );
  return { workers, seconds, runs_of_one: one, runs_of_many: many, ratio: many / one, claim_ms: claims };
};

/** Runs that ended within the measured time. */
async function finished(binary: string, workers: number, seconds: number): Promise<number> {
  const denokv = await DenokvServer.start(binary);
  const store = await openStore(denokv.address);
  const children: Deno.ChildProcess[] = [];
  try {
    // More than can be finished.
    const enough = Math.ceil((seconds + 3 * WARM) * workers * 1000 / (SLEEP * STEPS));
    await enqueue(store, enough);
    for (let i = 0; i < workers; i++) children.push(await startWorker(denokv.address));
    await new Promise((resolve) => setTimeout(resolve, 1000 * WARM));
    const from = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    const to = Date.now();
    let count = 0;
    for await (const { value } of listAll(store, { prefix: ["run"], limit: 200 })) {
      const { state, finished_at } = parseRecord(value);
      if (state === "succeeded" && finished_at !== null && finished_at >= from && finished_at < to) count++;
    }
    return count;
  } finally {
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map((child) => child.status));
    await store.close();
    await denokv.stop();
  }
}

async function startWorker(address: string): Promise<Deno.ChildProcess> {
  const file = new URL("./lib/sleep_worker.ts", import.meta.url).href;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", file, address, String(SLEEP)],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  return child;
}

async function enqueue(store: Store, count: number): Promise<void> {
  const runs = new Runs({ ledger: new Ledger(store), kinds: [drawKind] });
  let left = count;
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (left-- > 0) {
      await runs.create(OWNER, { task: "draw", input: { prompt: "a sleep", seed: 1, steps: STEPS } });
    }
  }));
}

/** Ms of a claim, medians. */
async function claimTimes(binary: string): Promise<{ short: number; long: number; ratio: number }> {
  const denokv = await DenokvServer.start(binary);
  const store = await openStore(denokv.address);
  const queue = new Queue(new Ledger(store), "bench");
  const claim = async () => {
    const times: number[] = [];
    for (let i = 0; i < CLAIMS; i++) {
      const start = performance.now();
      if (await queue.claim() === null) throw new Error("there was nothing to claim");
      times.push(performance.now() - start);
    }
    return median(times);
  };
  try {
    await enqueue(store, CLAIMS);
    const short = await claim();
    await enqueue(store, LONG + CLAIMS);
    const long = await claim();
    return { short, long, ratio: long / short };
  } finally {
    await store.close();
    await denokv.stop();
  }
}
