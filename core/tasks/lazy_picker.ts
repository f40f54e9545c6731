/**
 * A picker on the GPU that is opened when it is first needed, and released with the stepper that it serves.
 *
 * @module
 */
import type { GpuTextPicker } from "../diffusion/gpu_text.ts";

export class LazyPicker {
  readonly #make: () => Promise<GpuTextPicker>;
  #picker: GpuTextPicker | undefined;
  #closed = false;

  constructor(make: () => Promise<GpuTextPicker>) {
    this.#make = make;
  }

  /** @throws {RangeError} if it was closed meanwhile */
  async open(): Promise<GpuTextPicker> {
    if (this.#picker !== undefined) return this.#picker;
    const picker = await this.#make();
    if (this.#closed) {
      picker.release();
      throw new RangeError("this stepper was closed while it went to the GPU");
    }
    return this.#picker = picker;
  }

  close(): void {
    this.#closed = true;
    this.#picker?.release();
    this.#picker = undefined;
  }
}
