/**
 * What was told of a text while it grew: a block that is done is told at once, and the pieces together are the text.
 *
 * @module
 */
import type { EventBody } from "./record.ts";
import type { Kind } from "./state/kind.ts";
import type { StepEngine } from "./step_engine.ts";

export class ToldText {
  readonly #kind: Kind;
  readonly #engine: StepEngine;
  /** Tokens that are done, and what was told of them. */
  #settled = 0;
  #said = "";

  constructor(kind: Kind, engine: StepEngine) {
    [this.#kind, this.#engine] = [kind, engine];
  }

  /** A state that was taken up: all that is done in it was told by whoever had the run before. */
  async takeUp(state: unknown): Promise<void> {
    const { name, settled } = this.#kind;
    this.#settled = settled?.(state) ?? 0;
    if (this.#settled > 0) this.#said = await this.#engine.text?.(name, state) ?? "";
  }

  /** What is new in a state; null: nothing. */
  async next(state: unknown): Promise<EventBody | null> {
    const { name, settled } = this.#kind;
    const done = settled?.(state) ?? 0;
    if (done <= this.#settled || this.#engine.text === undefined) return null;
    this.#settled = done;
    return this.until(await this.#engine.text(name, state));
  }

  /** What `text` adds; null: nothing, or a beginning that changed and could not be taken back (the result has it right). */
  until(text: string): EventBody | null {
    if (text.length <= this.#said.length || !text.startsWith(this.#said)) return null;
    const more = text.slice(this.#said.length);
    this.#said = text;
    return { type: "run.text", data: { text: more } };
  }
}
