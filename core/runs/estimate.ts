/**
 * What a run would cost, before it is one.
 *
 * @module
 */
import { fillFiles, STAND_IN, takeFiles } from "./input_files.ts";
import { keys } from "./keys.ts";
import type { Runs } from "./service.ts";
import { kindOf } from "./state/kind.ts";
import type { StepEngine } from "./step_engine.ts";

export interface Estimate {
  readonly steps: number;
  /** Tokens that the run reveals. */
  readonly tokens: number;
  /** From the measured speed, waiting excluded; null while nothing was measured. */
  readonly seconds: number | null;
}

/** @throws {UnmaskError} what the task refuses */
export async function estimate(
  runs: Runs,
  engine: StepEngine,
  task: string,
  asked: Readonly<Record<string, unknown>>,
): Promise<Estimate> {
  const kind = kindOf(runs.kinds, task);
  const { input, files } = takeFiles(asked, kind.files ?? []);
  const seeded = kind.seedless === true ? input : { seed: 0, ...input };
  kind.parse(await fillFiles(seeded, () => STAND_IN));
  const whole = await fillFiles(seeded, ({ file }) => files.find(({ name }) => name === file)?.bytes);
  const state = await engine.start(task, whole);
  const { steps } = kind.progress(state);
  const tokens = kind.picture?.sequence(state).ids.length ?? 0;
  const entry = await runs.ledger.store.get<{ fingerprint: string; step_ms: number; tail_ms: number }>(
    keys.rate(task),
  );
  const rate = entry?.value.fingerprint === engine.fingerprint ? entry.value : undefined;
  const seconds = rate === undefined ? null : Number(((steps * rate.step_ms + rate.tail_ms) / 1000).toFixed(3));
  return { steps, tokens, seconds };
}
