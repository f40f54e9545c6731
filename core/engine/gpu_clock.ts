/**
 * The GPU's own clock: marks in its queue, and the seconds between them. For benchmarks; what runs between two marks may
 * be the runtime's or ours.
 *
 * @module
 */
import type { GpuClock } from "./gpu.ts";
import { exclusive } from "./lock.ts";

/** Marks between two readings. */
const MOST = 64;
const BYTES = 8;

export class QueueClock implements GpuClock {
  readonly #device: GPUDevice;
  readonly #marks: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;
  #count = 0;

  /** @param device with the feature `timestamp-query` */
  constructor(device: GPUDevice) {
    this.#device = device;
    this.#marks = device.createQuerySet({ type: "timestamp", count: MOST });
    const size = MOST * BYTES;
    this.#resolved = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    this.#staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  }

  mark(): Promise<void> {
    return exclusive(() => {
      if (this.#count === MOST) throw new RangeError(`a clock holds ${MOST} marks`);
      const encoder = this.#device.createCommandEncoder();
      const timestampWrites = { querySet: this.#marks, endOfPassWriteIndex: this.#count++ };
      encoder.beginComputePass({ timestampWrites }).end();
      this.#device.queue.submit([encoder.finish()]);
    });
  }

  read(): Promise<number[]> {
    return exclusive(async () => {
      const count = this.#count;
      this.#count = 0;
      if (count < 2) return [];
      const encoder = this.#device.createCommandEncoder();
      encoder.resolveQuerySet(this.#marks, 0, count, this.#resolved, 0);
      encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, count * BYTES);
      this.#device.queue.submit([encoder.finish()]);
      await this.#staging.mapAsync(GPUMapMode.READ, 0, count * BYTES);
      const times = new BigUint64Array(this.#staging.getMappedRange(0, count * BYTES).slice(0));
      this.#staging.unmap();
      return Array.from({ length: count - 1 }, (_, i) => Number((times[i + 1] ?? 0n) - (times[i] ?? 0n)) / 1e9);
    });
  }

  release(): void {
    void exclusive(() => {
      this.#marks.destroy();
      this.#resolved.destroy();
      this.#staging.destroy();
    });
  }
}
