/**
 * `deno task worker`: a worker without HTTP. It takes runs from a store that a server elsewhere fills, until Ctrl-C or
 * SIGTERM; then the step at work ends, and its runs are handed back for others to go on with.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import { encodePicture } from "../core/image/codec.ts";
import { openHouse } from "../core/runs/house.ts";
import { openInference } from "../core/tasks/remote.ts";
import { runpodAddresses, RunpodWorker } from "../functions/runpod_worker.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel, requireModelFolder } from "./lib/model.ts";
import { readWebhooks, WEBHOOKS_FLAG } from "./lib/webhooks.ts";

export const WORKER_FLAGS = {
  store: { kind: "text", help: "the address of a KV Connect server, such as http://127.0.0.1:4512 (denokv)" },
  slots: { kind: "number", help: "runs held at once (default: 4)" },
  lease: { kind: "number", help: "seconds after which a silent worker's runs are taken over (default: 10)" },
  runpod: {
    kind: "switch",
    help: "take jobs of a RunPod serverless endpoint; without --store a job that loses its worker starts again",
  },
  ...WEBHOOKS_FLAG,
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

export function workerCommand(open: OpenModel): Command {
  return async (args, { output, signal, announce }) => {
    const { flags, positionals } = parseFlags(args, WORKER_FLAGS);
    if (flags.help) {
      output.stderr(`${usage("worker --store URL [flags]", WORKER_FLAGS)}\n`);
      return { help: true };
    }
    const { slots = 4, lease = 10 } = flags;
    const store = flags.store ?? (flags.runpod ? ":memory:" : undefined);
    if (positionals.length > 0 || store === undefined) throw storeMissing();
    if (!Number.isInteger(slots) || slots < 1 || slots > 64) throw outOfRange("slots", "a whole number from 1 to 64");
    if (!(lease >= 1 && lease <= 600)) throw outOfRange("lease", "1 to 600 seconds");
    const addresses = flags.runpod ? runpodAddresses((name) => Deno.env.get(name)) : null;
    const choice = modelChoice(flags);
    await requireModelFolder(choice);
    const webhooks = await readWebhooks(flags.webhooks);
    const inference = await open(choice);
    try {
      const log = (line: Readonly<Record<string, unknown>>) => output.stderr(`${JSON.stringify(line)}\n`);
      const { modelFolder } = choice;
      const house = await openHouse({
        inference,
        modelFolder,
        store,
        encode: encodePicture,
        slots,
        lease: lease * 1000,
        webhooks: webhooks.out,
        delivery: webhooks.delivery,
        log,
      });
      try {
        output.stderr(`working for ${house.store.name}\n`);
        announce({ worker: house.worker.id, store: house.store.name, fingerprint: house.engine.fingerprint });
        if (addresses !== null) {
          await new RunpodWorker({ runs: house.runs, addresses, slots, log }).run(signal);
        } else if (!signal.aborted) {
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
        }
        output.stderr("stopping: the step at work ends, runs are handed back\n");
      } finally {
        await house.close();
      }
      return { stopped: true };
    } finally {
      await inference.close();
    }
  };
}

function storeMissing(): UnmaskError {
  return new UnmaskError({
    code: "store_missing",
    message: "a worker needs a store that it shares with a server",
    fix: "start denokv, then give its address: --store http://127.0.0.1:4512",
    param: "store",
  });
}

function outOfRange(param: string, range: string): UnmaskError {
  return new UnmaskError({
    code: `${param}_out_of_range`,
    message: `this --${param} is not possible`,
    fix: `use ${range}`,
    param,
  });
}

if (import.meta.main) await main(workerCommand(openInference));
