/**
 * `deno task chaos --seed S [--short]`: several worker processes on a real `denokv`, runs of all tasks, faults drawn from
 * the seed, and an oracle that looks at everything afterwards. The last line counts the faults and what was violated.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import { encodePicture } from "../core/image/codec.ts";
import { openStore } from "../core/runs/store/open.ts";
import { newSecret } from "../core/runs/webhooks/endpoint.ts";
import { RETRY_SCHEDULE, scaled } from "../core/runs/webhooks/schedule.ts";
import { parseWebhookSettings } from "../core/runs/webhooks/settings.ts";
import { threadEngine } from "../core/runs/thread_engine.ts";
import { openInference } from "../core/tasks/remote.ts";
import { runChaos } from "./chaos/run.ts";
import { openFront } from "./chaos/front.ts";
import { writeWholeModel } from "./chaos/model.ts";
import { planOf } from "./chaos/plan.ts";
import { Receiver } from "./chaos/receivers.ts";
import { Witness } from "./chaos/witness.ts";
import { WorkerPlace } from "./chaos/workers.ts";
import { type Command, type ExitCode, type JsonLine, main } from "./lib/command.ts";
import { DenokvServer, requireDenokv, TOKEN } from "./lib/denokv.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { DEFAULT_MODEL } from "./lib/model.ts";

export const CHAOS_FLAGS = {
  seed: { kind: "number", help: "what is drawn: runs, callers and faults (default: 1)" },
  short: { kind: "switch", help: "60 runs and fewer faults, for CI" },
  workers: { kind: "number", help: "worker processes, 3 to 8 (default: 4)" },
  lease: { kind: "number", help: "seconds after which a silent worker's runs are taken over (default: 3)" },
  ...COMMON_FLAGS,
} as const;

/** Sizes of the retry schedule: 5 s become 50 ms, 24 h become 14 minutes. */
const SCALE = 0.01;
const TIMEOUT = 1000;

export const chaosCommand: Command = async (args, { output }) => {
  const { flags, positionals } = parseFlags(args, CHAOS_FLAGS);
  if (flags.help) {
    output.stderr(`${usage("chaos --seed S [flags]", CHAOS_FLAGS)}\n`);
    return { help: true };
  }
  const { seed = 1, workers = 4, lease = 3 } = flags;
  if (positionals.length > 0 || !Number.isSafeInteger(seed) || seed < 0) throw invalid("seed", "a whole number");
  if (!Number.isInteger(workers) || workers < 3 || workers > 8) throw invalid("workers", "3 to 8");
  if (!(lease >= 1 && lease <= 60)) throw invalid("lease", "1 to 60 seconds");
  const binary = requireDenokv();
  const folder = `.unmask/chaos-${crypto.randomUUID().slice(0, 8)}`;
  await Deno.mkdir(folder, { recursive: true });
  // Both of this process's own handles on the store need it.
  Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
  const secret = newSecret();
  const receivers = ["one", "two"].map((name) => new Receiver(name, secret, TIMEOUT + 500));
  const { delays_ms, jitter, longest_ms } = scaled(RETRY_SCHEDULE, SCALE);
  // The first waits are short enough; the long ones would outlast the whole thing.
  const delivery = {
    delays_ms: delays_ms.map((delay) => Math.min(delay, 3000)),
    jitter,
    longest_ms,
    timeout_ms: TIMEOUT,
  };
  const endpoints = receivers.map(({ name, url }) => ({ name, url, secrets: [secret] }));
  const settings = JSON.stringify({ endpoints, delivery });
  const webhooks = `${folder}/webhooks.json`;
  await Deno.writeTextFile(webhooks, settings);
  const model = `${folder}/model`;
  await writeWholeModel(DEFAULT_MODEL, model);

  const witness = new Witness();
  const denokv = await DenokvServer.start(binary);
  const store = await openStore(denokv.address);
  const inference = await openInference({ modelFolder: model, provider: "cpu", threads: 1 });
  const { steps } = inference;
  if (steps === undefined) throw new Error("this inference has no steps");
  const engine = await threadEngine(inference.info, steps, model);
  const { tasks } = inference.info;
  output.stderr(`tasks that the model does: ${tasks.join(", ")}\n`);
  const side = inference.info.imageSize;
  const shades = Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 7) % 256);
  const picture = (await encodePicture({ width: side, height: side, data: shades }, "png")).toBase64();
  const front = await openFront(
    denokv.address,
    witness,
    parseWebhookSettings(settings).out,
    inference.info.imageSize,
  );
  const common = { upstream: denokv.address, witness, model, webhooks, lease, slots: 4, logs: folder };
  const places = Array.from({ length: workers }, (_, i) => new WorkerPlace(`worker-${i + 1}`, common));
  let report: JsonLine & { readonly violations: number } = { violations: 1 };
  try {
    report = await runChaos({
      plan: planOf(seed, flags.short, tasks, picture),
      places,
      receivers,
      denokv,
      store,
      front,
      witness,
      engine,
      lease: lease * 1000,
      tell: (line) => output.stderr(`${line}\n`),
    });
    return { seed, short: flags.short, workers, lease_s: lease, ...report };
  } finally {
    for (const place of places) await place.end();
    await front.close();
    await store.close();
    await inference.close();
    for (const receiver of receivers) await receiver.close();
    await denokv.stop();
    await Deno.remove(model, { recursive: true });
    // What the processes logged is kept where it may be of use.
    if (report.violations === 0) await Deno.remove(folder, { recursive: true });
    else output.stderr(`what the workers said: ${folder}\n`);
    output.stderr(`${lastLine(report)}\n`);
  }
};

function lastLine({ faults, violated, not_judged }: JsonLine): string {
  const list = (counts: unknown) =>
    Object.entries((counts ?? {}) as Record<string, number>).map(([name, count]) => `${name} ${count}`).join(", ");
  if (faults === undefined) return "chaos did not come to its end";
  const skipped = not_judged === 0 ? "" : `; NOT JUDGED: ${not_judged} takeovers`;
  return `faults: ${list(faults)}; violated: ${list(violated) || "nothing"}${skipped}`;
}

function invalid(param: string, range: string): UnmaskError {
  return new UnmaskError({
    code: `${param}_out_of_range`,
    message: `this --${param} is not possible`,
    fix: `use ${range}`,
    param,
  });
}

/** Violations are bad news of a command that did its work. */
const exitOf = (line: JsonLine): ExitCode => (Number(line.violations ?? 0) === 0 ? 0 : 1);

if (import.meta.main) await main(chaosCommand, exitOf);
