/**
 * Teacher-forcing: a draw on the CPU, and another provider that takes every step from the CPU's state before it, through
 * the stepper that a run takes: on webgpu the resident loop.
 *
 * What decides a position is guided logit / temperature + Gumbel noise. Where the two best candidates are further apart
 * than 4 times the provider's error, as measured over all candidates of the same forward pass, they must agree; the rest
 * are counted.
 */
import { expect } from "vitest";
import { gumbel, PHASE, philoxDraws } from "../../../core/diffusion/draws.ts";
import { guide } from "../../../core/diffusion/guidance.ts";
import { drawBlock } from "../../../core/diffusion/sampling.ts";
import type { Model, PromptCache } from "../../../core/model/types.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { DRAW_DEFAULTS } from "../../../core/tasks/draw_defaults.ts";
import type { DrawState } from "../../../core/tasks/draw_state.ts";

const GUIDANCE = 1;
const draw = createDraw();

type Rows = readonly Float32Array[];

/** One step of the CPU's run, and the guided logits that it was sampled from. */
export interface Step {
  readonly before: DrawState;
  readonly positions: Uint32Array;
  readonly chosen: Uint32Array;
  readonly logits: Rows;
  /** By how much each position's best candidate leads. */
  readonly gaps: readonly number[];
}

/** The guided logits of the i-th position. */
function guided(rows: Rows, i: number, size: number): Float32Array {
  const [conditional, unconditional] = rows;
  if (conditional === undefined || unconditional === undefined) throw new Error("expected two rows");
  const out = new Float32Array(size);
  guide(conditional, unconditional, i * size, size, GUIDANCE, out);
  return out;
}

/** The best candidate by plain arithmetic, and how far the next one is behind. */
function best(logits: Float32Array, seed: number, step: number, position: number) {
  const [draws, block] = [philoxDraws(seed), drawBlock()];
  let [id, first, second] = [-1, -Infinity, -Infinity];
  for (let i = 0; i < logits.length; i++) {
    if ((i & 3) === 0) draws.block(PHASE.candidate, step, position, i >> 2, block);
    const score = (logits[i] ?? NaN) / DRAW_DEFAULTS.temperature + gumbel(block[i & 3] ?? NaN);
    if (score > first) [id, second, first] = [i, first, score];
    else if (score > second) second = score;
  }
  return { id, gap: first - second };
}

/** The model whose logits `seen` is shown, wherever they lie, and whose prompt is read once a picture. */
function watched(model: Model, seen: (rows: Rows) => void): { readonly model: Model; release(): Promise<void> } {
  const caches = new Map<number, Promise<PromptCache>>();
  const { resident } = model;
  const shared: Model = {
    config: model.config,
    info: model.info,
    tokenizer: model.tokenizer,
    understanding: model.understanding,
    loaded: model.loaded,
    prompt: async (rows, ...rest) => {
      const known = caches.get(rows.length) ?? model.prompt(rows, ...rest);
      caches.set(rows.length, known);
      return Object.create(await known, { release: { value: () => {} } });
    },
    draw: async (...args) => {
      const logits = await model.draw(...args);
      seen(logits.map((row) => row.slice()));
      return logits;
    },
    decode: (ids, width) => model.decode(ids, width),
    encode: (picture) => model.encode(picture),
    close: () => Promise.resolve(),
  };
  const drawing = resident === undefined ? {} : {
    resident: {
      gpu: resident.gpu,
      draw: async (...args: Parameters<typeof resident.draw>) => {
        const logits = await resident.draw(...args);
        const size = args[2].length * model.config.vqCodes;
        const rows: Float32Array[] = [];
        for (const { tensor, offset } of logits.rows) {
          rows.push(((await tensor.read()).data as Float32Array).slice(offset, offset + size));
        }
        seen(rows);
        return logits;
      },
    },
  };
  return {
    model: { ...shared, ...drawing },
    release: async () => {
      for (const cache of caches.values()) (await cache).release();
      caches.clear();
    },
  };
}

/** What a provider made of the CPU's states. */
export class Agreement {
  /** Of every position; `least` is the gap up to which the error of its forward pass may decide. */
  readonly #gaps: { readonly gap: number; readonly least: number; readonly same: boolean }[] = [];
  /** Largest errors: of raw logits, of guided logits / temperature. */
  error = 0;
  guidedError = 0;
  range = 0;

  add(step: Step, rows: Rows, ids: Uint32Array, size: number): void {
    rows.forEach((row, k) => {
      const cpu = step.logits[k] ?? new Float32Array();
      if (row.length !== cpu.length) throw new Error(`${row.length} logits, not ${cpu.length}`);
      for (let i = 0; i < cpu.length; i++) {
        const difference = Math.abs((row[i] as number) - (cpu[i] as number));
        if (!(difference <= this.error)) this.error = difference; // NaN sticks
        this.range = Math.max(this.range, Math.abs(cpu[i] as number));
      }
    });
    let passError = 0;
    step.positions.forEach((_, i) => {
      const [own, cpu] = [guided(rows, i, size), guided(step.logits, i, size)];
      for (let id = 0; id < size; id++) {
        const difference = Math.abs((own[id] as number) - (cpu[id] as number)) / DRAW_DEFAULTS.temperature;
        if (!(difference <= passError)) passError = difference;
      }
    });
    if (!(passError <= this.guidedError)) this.guidedError = passError;
    step.positions.forEach((_, i) => {
      this.#gaps.push({ gap: step.gaps[i] ?? NaN, least: 4 * passError, same: ids[i] === step.chosen[i] });
    });
  }

  sum() {
    return {
      positions: this.#gaps.length,
      error: this.error / this.range,
      guidedError: this.guidedError,
      undecided: this.#gaps.filter(({ gap, least }) => !(gap > least)).length,
      different: this.#gaps.filter(({ same }) => !same).length,
      wrong: this.#gaps.filter(({ gap, least, same }) => !same && gap > least).length,
    };
  }
}

/** Draws on the CPU and keeps what each step was made of. */
export async function drawn(reference: Model, prompt: string, seed: number, steps: number): Promise<Step[]> {
  let logits: Rows = [];
  const { model, release } = watched(reference, (rows) => logits = rows);
  const { vqCodes } = model.config;
  let state = draw.start({ prompt, seed, steps, guidance: GUIDANCE }, model);
  const stepper = await draw.open(state, model);
  const taken: Step[] = [];
  for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) {
    const { positions, ids: chosen, step } = delta;
    const bests = Array.from(
      positions,
      (position, i) => best(guided(logits, i, vqCodes), seed, step, position),
    );
    // The sampler's own choice is that of plain arithmetic.
    expect(bests.map(({ id }) => id)).toEqual([...chosen]);
    taken.push({ before: state, positions, chosen, logits, gaps: bests.map(({ gap }) => gap) });
    state = draw.fold(state, delta);
  }
  stepper.close();
  await release();
  return taken;
}

/** Takes the CPU's steps with another model. */
export async function force(other: Model, steps: readonly Step[], agreement: Agreement): Promise<void> {
  let rows: Rows = [];
  const { model, release } = watched(other, (seen) => rows = seen);
  for (const step of steps) {
    const stepper = await draw.open(step.before, model);
    const delta = await stepper.step();
    stepper.close();
    if (delta === null) throw new Error("no step");
    expect(delta.positions).toEqual(step.positions);
    agreement.add(step, rows, delta.ids, model.config.vqCodes);
  }
  await release();
}
