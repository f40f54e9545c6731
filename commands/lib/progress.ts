/**
 * A progress bar on stderr. On a terminal it rewrites its line; in a log it writes a line each quarter.
 *
 * @module
 */
import type { Output } from "./command.ts";

const WIDTH = 32;

export class Progress {
  readonly #output: Output;
  readonly #label: string;
  #quarter = -1;

  constructor(output: Output, label: string) {
    this.#output = output;
    this.#label = label;
  }

  /** `done` of `total`, both whole numbers, total > 0. */
  update(done: number, total: number): void {
    const count = `${String(done).padStart(String(total).length)}/${total}`;
    if (this.#output.terminal) {
      const filled = Math.round(WIDTH * done / total);
      this.#output.stderr(`\r${this.#label} ${"█".repeat(filled)}${"░".repeat(WIDTH - filled)} ${count}`);
      return;
    }
    const quarter = Math.floor(4 * done / total);
    if (quarter > this.#quarter) this.#output.stderr(`${this.#label} ${count}\n`);
    this.#quarter = quarter;
  }

  /** Leaves the bar's line, so that what follows starts on its own. */
  end(): void {
    if (this.#output.terminal) this.#output.stderr("\r\x1b[K");
  }
}
