/**
 * Everything that this thread asks of WebGPU, counted at the API itself: what the runtime asks for, what our kernels ask
 * for, and whatever else there may be. For tests and benchmarks that prove what stays on the GPU.
 *
 * @module
 */

/** Since the watch began, but for the two that say so. */
export interface GpuCounts {
  /** Maps for reading: each is a wait of the host for the GPU. */
  readonly reads: number;
  readonly readBytes: number;
  /** Of queue.writeBuffer. */
  readonly writeBytes: number;
  readonly submissions: number;
  readonly dispatches: number;
  /** Compiled. */
  readonly pipelines: number;
  /** Alive now, of those made since. */
  readonly buffers: number;
  readonly bufferBytes: number;
}

export interface GpuWatch {
  counts(): GpuCounts;
  /** Puts the API back as it was. */
  stop(): void;
}

/**
 * Begins before the engine is opened, so that the runtime finds the counting API. One watch at a time.
 *
 * ```ts
 * const watch = watchGpu();
 * const before = watch.counts();
 * await stepper.step();
 * console.log(difference(before, watch.counts()));
 * ```
 */
export function watchGpu(): GpuWatch {
  const counts = { ...NOTHING };
  const alive = new WeakSet<GPUBuffer>();
  const undo: (() => void)[] = [];
  /** Calls `seen` with what the method was called on, its arguments and its result. */
  function after(
    prototype: object,
    name: string,
    seen: (self: object, args: readonly unknown[], result: unknown) => void,
  ) {
    const method: unknown = Reflect.get(prototype, name);
    if (typeof method !== "function") throw new TypeError(`WebGPU has no ${name}`);
    const wrapped = function (this: object, ...args: unknown[]): unknown {
      const result: unknown = Reflect.apply(method, this, args);
      seen(this, args, result);
      return result;
    };
    Reflect.set(prototype, name, wrapped);
    undo.push(() => Reflect.set(prototype, name, method));
  }
  after(GPUBuffer.prototype, "mapAsync", (self, [mode, offset, size]) => {
    if (!(self instanceof GPUBuffer) || (Number(mode) & GPUMapMode.READ) === 0) return;
    counts.reads++;
    counts.readBytes += Number(size ?? self.size - Number(offset ?? 0));
  });
  after(GPUQueue.prototype, "writeBuffer", (_, [, , data, offset, size]) => {
    const view = ArrayBuffer.isView(data) || data instanceof ArrayBuffer ? data : new ArrayBuffer(0);
    const unit = "BYTES_PER_ELEMENT" in view ? Number(view.BYTES_PER_ELEMENT) : 1;
    counts.writeBytes += size === undefined ? view.byteLength - unit * Number(offset ?? 0) : unit * Number(size);
  });
  after(GPUQueue.prototype, "submit", () => counts.submissions++);
  for (const name of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"]) {
    after(GPUComputePassEncoder.prototype, name, () => counts.dispatches++);
  }
  for (const name of ["createComputePipeline", "createComputePipelineAsync"]) {
    after(GPUDevice.prototype, name, () => counts.pipelines++);
  }
  after(GPUDevice.prototype, "createBuffer", (_, __, buffer) => {
    if (!(buffer instanceof GPUBuffer)) return;
    alive.add(buffer);
    counts.buffers++;
    counts.bufferBytes += buffer.size;
  });
  after(GPUBuffer.prototype, "destroy", (self) => {
    if (!(self instanceof GPUBuffer) || !alive.delete(self)) return;
    counts.buffers--;
    counts.bufferBytes -= self.size;
  });
  return {
    counts: () => ({ ...counts }),
    stop: () => {
      for (const restore of undo.splice(0)) restore();
    },
  };
}

const NOTHING = {
  reads: 0,
  readBytes: 0,
  writeBytes: 0,
  submissions: 0,
  dispatches: 0,
  pipelines: 0,
  buffers: 0,
  bufferBytes: 0,
};

/** What was added between two counts. */
export function difference(before: GpuCounts, after: GpuCounts): GpuCounts {
  const result = { ...NOTHING };
  for (const name of Object.keys(NOTHING) as (keyof GpuCounts)[]) result[name] = after[name] - before[name];
  return result;
}
