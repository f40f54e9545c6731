/**
 * What a run would cost, before it is one: with a model at hand, or on a front from what workers have written down.
 *
 * @module
 */
import { type FileReference, fillFiles, STAND_IN, takeFiles } from "./input_files.ts";
import { keys } from "./keys.ts";
import { readCard, startFrom } from "./model_card.ts";
import type { Runs } from "./service.ts";
import { kindOf } from "./state/kind.ts";
import type { StepEngine } from "./step_engine.ts";
import type { Store } from "./store/types.ts";

export interface Estimate {
  /** Null with {@linkcode reason}: nothing is known of the model. */
  readonly steps: number | null;
  /** Tokens that the run reveals. */
  readonly tokens: number | null;
  /** From the measured speed, waiting excluded. */
  readonly seconds: number | null;
  /** Why something is null. */
  readonly reason?: string;
}

/** As workers write it down; see worker.ts. */
interface Rate {
  readonly fingerprint: string;
  readonly step_ms: number;
  readonly tail_ms: number;
}

/**
 * @param engine null: a front, which goes by the store
 * @throws {UnmaskError} what the task refuses; on a front all but a prompt that is too long
 */
export async function estimate(
  runs: Runs,
  engine: StepEngine | null,
  task: string,
  asked: Readonly<Record<string, unknown>>,
): Promise<Estimate> {
  const kind = kindOf(runs.kinds, task);
  const { input, files } = takeFiles(asked, kind.files ?? []);
  const seeded = kind.seedless === true ? input : { seed: 0, ...input };
  kind.parse(await fillFiles(seeded, () => STAND_IN));
  const { store } = runs.ledger;
  let state: unknown;
  if (engine === null) {
    const card = await readCard(store);
    if (card === null) {
      const reason = "no worker has opened this store yet, so nothing is known of its model";
      return { steps: null, tokens: null, seconds: null, reason };
    }
    state = startFrom(card, task, await fillFiles(seeded, blank));
  } else {
    state = await engine.start(
      task,
      await fillFiles(seeded, ({ file }) => files.find(({ name }) => name === file)?.bytes),
    );
  }
  const { steps } = kind.progress(state);
  const tokens = kind.tokens(state);
  const rate = await rateOf(store, task);
  // Of another model or machine it would say nothing of this one; a front takes what any worker measured.
  if (rate === null || (engine !== null && rate.fingerprint !== engine.fingerprint)) {
    return { steps, tokens, seconds: null, reason: "no worker has measured a run of this task yet" };
  }
  return { steps, tokens, seconds: Number(((steps * rate.step_ms + rate.tail_ms) / 1000).toFixed(3)) };
}

async function rateOf(store: Store, task: string): Promise<Rate | null> {
  return (await store.get<Rate>(keys.rate(task)))?.value ?? null;
}

/** A picture of its size, light all over; its pixels are there for whoever looks, which sizes alone do not. */
function blank({ width, height }: FileReference) {
  return {
    width,
    height,
    get data() {
      return new Uint8Array(width * height * 3).fill(255);
    },
  };
}
