/**
 * The runtime's side of `bench draw`: pictures through the task as the server draws them, with a clock on each part.
 *
 * @module
 */
import process from "node:process";
import type { Model, Picture } from "../../core/model/types.ts";
import { fixedOrder } from "../../core/diffusion/order/order.ts";
import type { DrawTask } from "../../core/tasks/draw.ts";
import type { DrawInput } from "../../core/tasks/draw_input.ts";
import type { DrawState } from "../../core/tasks/draw_state.ts";

/** Wall seconds of a picture's parts; `steps` are the draw graph's runs, `sampling` all else between them. */
export interface Parts {
  readonly prompt: number;
  readonly steps: number;
  readonly sampling: number;
  readonly decode: number;
}

export interface Drawn {
  readonly seconds: number;
  /** CPU seconds of all threads of the process. */
  readonly cpuSeconds: number;
  readonly parts: Parts;
  readonly ids: readonly number[];
  readonly picture: Picture;
  readonly recipe: Recipe;
}

/** What another implementation needs to draw the same picture. */
export interface Recipe {
  readonly rows: readonly (readonly number[])[];
  readonly order: readonly number[];
  readonly counts: readonly number[];
  readonly side: number;
  readonly mask: number;
  readonly seed: number;
  readonly guidance: number;
  readonly temperature: number;
}

/** CPU seconds of this process so far. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

interface Watch {
  readonly spent: Record<"prompt" | "draw" | "decode", number>;
  /** The rows of the last prompt that was read. */
  rows: readonly Int32Array[];
}

/** The model with a clock on its calls. */
function watched(model: Model, watch: Watch): Model {
  const { spent } = watch;
  const timed = async <T>(name: keyof typeof spent, work: Promise<T>): Promise<T> => {
    const start = performance.now();
    const value = await work;
    spent[name] += (performance.now() - start) / 1000;
    return value;
  };
  const clocked: Pick<Model, "prompt" | "draw" | "decode"> = {
    prompt: (rows, suffix) => {
      watch.rows = rows;
      return timed("prompt", model.prompt(rows, suffix));
    },
    draw: (...args) => timed("draw", model.draw(...args)),
    decode: (...args) => timed("decode", model.decode(...args)),
  };
  return new Proxy(model, {
    get: (target, name): unknown => {
      if (Object.hasOwn(clocked, name)) return Reflect.get(clocked, name);
      const value: unknown = Reflect.get(target, name, target); // the model's private fields want the model itself
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

export async function drawOnce(task: DrawTask, model: Model, input: DrawInput): Promise<Drawn> {
  const watch: Watch = { spent: { prompt: 0, draw: 0, decode: 0 }, rows: [] };
  const seen = watched(model, watch);
  const [start, cpu] = [performance.now(), cpuSeconds()];
  const first = task.start(input, seen);
  let state = first;
  const stepper = await task.open(state, seen);
  for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) state = task.fold(state, delta);
  stepper.close();
  const { picture } = await task.result(state, seen);
  const seconds = (performance.now() - start) / 1000;
  const { prompt, draw, decode } = watch.spent;
  return {
    seconds,
    cpuSeconds: cpuSeconds() - cpu,
    parts: { prompt, steps: draw, sampling: seconds - prompt - draw - decode, decode },
    ids: Array.from(state.sequence.ids),
    picture,
    recipe: recipeOf(first, watch.rows, model),
  };
}

/** @throws {RangeError} for options that the PyTorch loops do not have */
function recipeOf({ settings, counts }: DrawState, rows: readonly Int32Array[], { config }: Model): Recipe {
  const { seed, guidance, temperature, temperatureDecay, topK, topP, guidanceInterval } = settings;
  const order = fixedOrder(settings.order, config.grid, seed);
  if (
    config.promptAttention !== "prefix" || order === undefined || temperatureDecay !== "none" || topK !== 0 ||
    topP !== 1 || guidanceInterval !== null
  ) {
    throw new RangeError(
      "the PyTorch loops know prefix attention, fixed orders, one temperature, guidance at all steps",
    );
  }
  return {
    rows: rows.map((row) => Array.from(row)),
    order: Array.from(order),
    counts,
    side: config.grid,
    mask: config.vqMaskId,
    seed,
    guidance,
    temperature,
  };
}
