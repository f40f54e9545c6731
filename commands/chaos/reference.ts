/**
 * What each run would have been without any fault: drawn once more here, step by step, from its input, its origin and the
 * counts that its record says a budget changed.
 *
 * @module
 */
import { encodePicture } from "../../core/image/codec.ts";
import type { RunRecord } from "../../core/runs/record.ts";
import { drawKind } from "../../core/runs/state/draw_kind.ts";
import { pictureOf } from "../../core/runs/state/kind.ts";
import type { DrawInput } from "../../core/tasks/draw_input.ts";
import type { DrawState } from "../../core/tasks/draw_state.ts";
import type { RemoteSteps } from "../../core/tasks/remote.ts";

export interface Undisturbed {
  /** By the step that they led to, the first one included. */
  readonly states: ReadonlyMap<number, DrawState>;
  readonly last: DrawState;
}

export class References {
  readonly #steps: RemoteSteps;
  readonly #records: ReadonlyMap<string, RunRecord>;
  readonly #known = new Map<string, Promise<Undisturbed>>();
  readonly #pictures = new Map<string, Promise<Uint8Array>>();

  /** @param records of all runs, so that origins can be found */
  constructor(steps: RemoteSteps, records: ReadonlyMap<string, RunRecord>) {
    [this.#steps, this.#records] = [steps, records];
  }

  /** Runs that ask for the same share one. */
  of(record: RunRecord): Promise<Undisturbed> {
    const key = this.#keyOf(record);
    const known = this.#known.get(key) ?? this.#draw(record);
    this.#known.set(key, known);
    return known;
  }

  /** The picture file of the last state. */
  picture(record: RunRecord): Promise<Uint8Array> {
    const key = this.#keyOf(record);
    const known = this.#pictures.get(key) ?? this.of(record).then(async ({ last }) => {
      const { picture } = await this.#steps.result(last);
      return await encodePicture(picture, "png");
    });
    this.#pictures.set(key, known);
    return known;
  }

  #keyOf({ input, merges, origin }: RunRecord): string {
    const parent = origin === null
      ? null
      : [origin.kind, origin.step, origin.positions, this.#keyOf(this.#parent(origin))];
    return JSON.stringify([input, merges, parent]);
  }

  #parent({ run }: { readonly run: string }): RunRecord {
    const parent = this.#records.get(run);
    if (parent === undefined) throw new RangeError(`${run}, which another run began from, is not there`);
    return parent;
  }

  async #draw(record: RunRecord): Promise<Undisturbed> {
    const { origin, merges } = record;
    let state = await this.#steps.start(drawKind.parse(record.input) as DrawInput);
    if (origin !== null) {
      const parent = (await this.of(this.#parent(origin))).last;
      const picture = pictureOf(drawKind);
      state = (origin.kind === "fork"
        ? picture.fork(state, parent, origin.step)
        : picture.redraw(state, parent, Uint32Array.from(origin.positions ?? []))) as DrawState;
    }
    const states = new Map([[state.step, state]]);
    const rest = [...merges];
    while (state.counts.length > 0) {
      const stepper = await this.#steps.open(state);
      try {
        while (state.counts.length > 0 && rest[0]?.step !== state.step) {
          const delta = await stepper.step();
          if (delta === null) break;
          state = drawKind.fold(state, delta) as DrawState;
          states.set(state.step, state);
        }
      } finally {
        await stepper.close();
      }
      for (; rest[0] !== undefined && rest[0].step === state.step; rest.shift()) {
        state = { ...state, counts: rest[0].counts };
        states.set(state.step, state);
      }
    }
    return { states, last: state };
  }
}
