/**
 * A run that was just accepted is begun while its place in the queue is written and claimed: an engine that has nothing
 * else to do opens its steps, and takes the first. Steps are a function of the state, and nothing of them is written
 * before a worker has the run, so what no worker here comes for was in vain and no more.
 *
 * @module
 */
import type { OpenSteps } from "./step_engine.ts";

/** Ms for which a run that was begun waits for its worker. */
const PATIENCE = 1000;

export class Begun {
  readonly #openAhead: (task: string, state: unknown) => Promise<OpenSteps>;
  readonly #patience: number;
  /** Steps that are open. */
  #atWork = 0;
  #begun:
    | { readonly state: unknown; readonly steps: Promise<OpenSteps>; readonly timer: ReturnType<typeof setTimeout> }
    | undefined;

  /** @param open steps whose first is taken before it is asked for */
  constructor(open: (task: string, state: unknown) => Promise<OpenSteps>, patience = PATIENCE) {
    this.#openAhead = open;
    this.#patience = patience;
  }

  begin(task: string, state: unknown): void {
    if (this.#atWork > 0 || this.#begun !== undefined) return;
    const steps = this.#openAhead(task, state);
    // Whoever opens the run sees it.
    steps.catch(() => {});
    const timer = setTimeout(() => this.#discard(), this.#patience);
    // A process may end without it.
    timer.unref();
    this.#begun = { state, steps, timer };
  }

  /** The steps that were begun from this very state, or `open`'s. What was begun for another is closed. */
  async take(state: unknown, open: () => Promise<OpenSteps>): Promise<OpenSteps> {
    this.#atWork++;
    const begun = this.#begun?.state === state ? this.#begun : undefined;
    if (begun === undefined) this.#discard();
    else {
      clearTimeout(begun.timer);
      this.#begun = undefined;
    }
    try {
      const steps = await (begun?.steps ?? open());
      let counted = true;
      return {
        step: () => steps.step(),
        close: async () => {
          if (counted) this.#atWork--;
          counted = false;
          await steps.close();
        },
      };
    } catch (error) {
      this.#atWork--;
      throw error;
    }
  }

  #discard(): void {
    const begun = this.#begun;
    if (begun === undefined) return;
    clearTimeout(begun.timer);
    this.#begun = undefined;
    begun.steps.then((steps) => steps.close()).catch(() => {});
  }
}
