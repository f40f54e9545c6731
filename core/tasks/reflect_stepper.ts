/**
 * The costly half of a reflection: a stepper of the phase that is open, made anew when the phase ends.
 *
 * @module
 */
import { encodeWithImages } from "../model/chat_template.ts";
import { judgeText } from "../model/prompts.ts";
import type { Model, Picture } from "../model/types.ts";
import { requireVision, viewsOf } from "../model/vision.ts";
import { type SeenFeedback, setUpDraw } from "./draw_setup.ts";
import type { DrawState } from "./draw_state.ts";
import { DrawStepper } from "./draw_stepper.ts";
import { planPrompt, saidPlan } from "./plan.ts";
import { countersOf, foldReflect, type ReflectDelta, type ReflectState } from "./reflect_state.ts";
import type { Delta, Stepper } from "./task.ts";
import { foldText, textDone, textIds, type TextState, TextStepper } from "./text_stepper.ts";

export class ReflectStepper implements Stepper<ReflectDelta> {
  #state: ReflectState;
  readonly #model: Model;
  #phase: Stepper | undefined;
  /** Of refused pictures, as drawings see them: they are looked at once. */
  readonly #seen = new Map<number, Float32Array>();
  #closed = false;

  constructor(state: ReflectState, model: Model) {
    this.#state = state;
    this.#model = model;
  }

  /** Looks at the pictures of the phase that is open, so that a step is a step from the first on. */
  async prepare(): Promise<void> {
    if (this.#state.open !== null) await this.#current();
  }

  /** Fails without moving: after an error the same step may be tried again. */
  async step(): Promise<ReflectDelta | null> {
    if (this.#closed) throw new RangeError("this stepper is closed");
    const state = this.#state;
    if (state.open === null) return null;
    const delta = await (await this.#current()).step();
    if (delta === null) throw new RangeError("a phase had no step");
    const told = { ...delta, ...this.#said(state, delta) };
    this.#state = foldReflect(state, told);
    const { open, closed } = this.#state;
    if (open?.phase !== state.open.phase || closed.length > state.closed.length) this.#leavePhase();
    return told;
  }

  get bytes(): number {
    return this.#seen.values().reduce((sum, { byteLength }) => sum + byteLength, this.#phase?.bytes ?? 0);
  }

  close(): void {
    this.#closed = true;
    this.#leavePhase();
  }

  #leavePhase(): void {
    this.#phase?.close();
    this.#phase = undefined;
  }

  /** What a text says that this delta ends; nothing else could tell whoever folds it without a tokenizer. */
  #said({ open }: ReflectState, delta: Delta): { readonly said?: string } {
    if (open === null || open.phase === "draw") return {};
    const text = foldText(open.text, delta);
    if (!textDone(text)) return {};
    return { said: open.phase === "plan" ? saidPlan(text, this.#model) : saidVerdict(text, this.#model) };
  }

  async #current(): Promise<Stepper> {
    if (this.#phase !== undefined) return this.#phase;
    const phase = await this.#open();
    if (this.#closed) {
      phase.close();
      throw new RangeError("this stepper was closed while it looked at its pictures");
    }
    return this.#phase = phase;
  }

  async #open(): Promise<Stepper> {
    const { open, closed, fresh: { settings: { prompt, micro } } } = this.#state;
    if (open === null) throw new RangeError("this reflection is over");
    const round = countersOf(closed.length);
    const { understanding } = this.#model;
    switch (open.phase) {
      case "plan": {
        const ids = planPrompt({ for: "draw", prompt, micro }, this.#model);
        return new TextStepper(open.text, understanding, { prompt: { ids }, round: round.plan });
      }
      case "draw": {
        const setup = setUpDraw(open.draw.settings, this.#model, await this.#feedback(open.feedback));
        return new DrawStepper(open.draw, this.#model, { ...setup, round: round.draw });
      }
      case "judge": {
        const picture = await pictureOf(open.draw, this.#model);
        const features = await understanding.look(picture, "tiles");
        const ids = judgePrompt(prompt, picture, this.#model);
        return new TextStepper(open.text, understanding, { prompt: { ids, features }, round: round.judge });
      }
    }
  }

  async #feedback(rounds: readonly number[]): Promise<readonly SeenFeedback[]> {
    const feedback: SeenFeedback[] = [];
    for (const index of rounds) {
      const round = this.#state.closed[index];
      if (round === undefined || round.verdict === null) throw new RangeError(`round ${index} has no verdict`);
      const features = this.#seen.get(index) ??
        await this.#model.understanding.look(await pictureOf(round.draw, this.#model), "single");
      this.#seen.set(index, features);
      feedback.push({ text: round.verdict.said, features });
    }
    return feedback;
  }
}

/** From its ids each time: an equal fingerprint decodes them to equal bits, and pixels would make every snapshot large. */
export async function pictureOf({ sequence }: DrawState, model: Model): Promise<Picture> {
  return await model.decode(sequence.ids as Uint16Array);
}

/** @param picture of the size that is judged; its pixels are no matter */
export function judgePrompt(caption: string, picture: Picture, { tokenizer, config }: Model): Int32Array {
  const tokens = viewsOf(requireVision(config), picture, "tiles").order.length;
  return encodeWithImages(judgeText(caption), tokenizer, [tokens]);
}

function saidVerdict(text: TextState, { tokenizer }: Model): string {
  return tokenizer.decode(textIds(text), { skipSpecial: true }).trim();
}
