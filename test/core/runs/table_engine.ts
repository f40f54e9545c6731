/**
 * An engine over the table model: exact, with steps that take as long as a test says, and faults that a test asks for.
 */
import type { StepEngine } from "../../../core/runs/step_engine.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import type { DrawInput } from "../../../core/tasks/draw_input.ts";
import type { DrawState } from "../../../core/tasks/draw_state.ts";
import { runHere } from "../../../core/tasks/run_here.ts";
import type { Picture } from "../../../core/model/types.ts";
import { fakeModel } from "../tasks/fake_model.ts";

export interface TableEngine extends StepEngine {
  /** Steps computed, all runs together. */
  readonly seen: { steps: number; order: string[] };
}

export interface TableEngineOptions {
  readonly stepMilliseconds?: number;
  readonly fingerprint?: string;
  /** Called before each step. */
  readonly onStep?: (state: DrawState) => void | Promise<void>;
}

export function tableEngine(options: TableEngineOptions = {}): TableEngine {
  const model = fakeModel();
  const task = createDraw();
  const seen = { steps: 0, order: [] as string[] };
  return {
    seen,
    fingerprint: options.fingerprint ?? "table",
    start: (_, input) => Promise.resolve().then(() => task.start(input as DrawInput, model)),
    async open(_, from) {
      let state = from as DrawState;
      const stepper = await task.open(state, model);
      return {
        async step() {
          await options.onStep?.(state);
          if (options.stepMilliseconds !== undefined) {
            await new Promise((resolve) => setTimeout(resolve, options.stepMilliseconds));
          }
          const delta = await stepper.step();
          if (delta !== null) state = task.fold(state, delta);
          seen.steps++;
          seen.order.push(state.settings.prompt);
          return delta;
        },
        close: () => Promise.resolve(stepper.close()),
      };
    },
    async result(_, state) {
      const { picture, promptTokens, imageTokens } = await task.result(state as DrawState, model);
      return { picture, promptTokens, imageTokens };
    },
    decode: (ids) => model.decode(ids),
    meanCode: () => Promise.resolve(0),
  };
}

/** A file that holds nothing but the pixels. */
export const plainFile = (picture: Picture): Promise<Uint8Array> => Promise.resolve(picture.data.slice());

/** The file of an undisturbed run. */
export async function undisturbed(input: DrawInput): Promise<Uint8Array> {
  const { picture } = await runHere(createDraw(), input, fakeModel());
  return await plainFile(picture);
}
