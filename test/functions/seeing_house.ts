/**
 * Every task over the tables of numbers of `seeing_model.ts`, in this process: real runs in a store in memory, real doors,
 * and no graph. Never part of the product.
 */
import type { AdmissionOptions } from "../../core/runs/admission.ts";
import { KINDS } from "../../core/runs/state/kinds.ts";
import type { EncodeOutput, StepEngine } from "../../core/runs/step_engine.ts";
import { allTasks, refuseTask, type TaskName, TASKS } from "../../core/tasks/all_tasks.ts";
import { createDraw } from "../../core/tasks/draw.ts";
import { unpackPictures } from "../../core/tasks/input_pictures.ts";
import { type Saying, seeingModel } from "../core/tasks/seeing_model.ts";
import { houseOf, type TestHouse } from "./house_of.ts";

export interface SeeingOptions extends Saying {
  /** What the model was trained for. @default everything */
  readonly able?: readonly TaskName[];
  readonly admission?: AdmissionOptions;
}

/** The bytes of the pixels alone. */
const encode: EncodeOutput = ({ data }) => Promise.resolve(data.slice());

/** @param stepMilliseconds how long each step takes */
export function seeingEngine(stepMilliseconds = 0, { able = TASKS, ...saying }: SeeingOptions = {}): StepEngine {
  const model = seeingModel(saying);
  const tasks = allTasks(createDraw());
  const of = (task: string) => tasks[refuseTask(task, able, "table")];
  return {
    fingerprint: "table",
    start: async (task, input) => of(task).start(await unpackPictures(input), model),
    open: async (task, state) => {
      const stepper = await of(task).open(state, model);
      return {
        async step() {
          if (stepMilliseconds > 0) await new Promise((resolve) => setTimeout(resolve, stepMilliseconds));
          return await stepper.step();
        },
        close: () => Promise.resolve(stepper.close()),
      };
    },
    result: (task, state) => of(task).result(state, model),
    text: (task, state) => Promise.resolve(of(task).text?.(state, model) ?? ""),
    decode: (ids) => model.decode(ids),
    meanCode: () => Promise.resolve(0),
  };
}

export async function seeingHouse(options: SeeingOptions = {}): Promise<TestHouse> {
  const { admission } = options;
  return await houseOf({ engine: seeingEngine(0, options), kinds: KINDS, encode, model: "table", admission });
}
