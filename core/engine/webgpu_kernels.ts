/**
 * Kernels of our own on the runtime's device, between its runs: they share its queue, so that each sees what the other
 * has written, and its lock.
 *
 * @module
 */
import type { Kernel } from "../../kernels/wgsl/kernel.ts";
import { UnmaskError } from "../errors.ts";
import type { Dispatch, Gpu, GpuClock, GpuHoldings, GpuWork } from "./gpu.ts";
import { QueueClock } from "./gpu_clock.ts";
import { exclusive } from "./lock.ts";
import { deviceLost, orLoss, type Runtime, runtimeError } from "./ort.ts";
import { GuardedResident } from "./ort_resident.ts";
import { toOrt } from "./tensors.ts";
import type { HostTensor, ResidentTensor } from "./types.ts";

/** Distance of two dispatches' parameters in their buffer: the largest alignment that a device may ask for. */
const SLOT = 256;
/** onnxruntime rounds its own buffers up to this. */
const ROUNDING = 16;

export class WebGpuKernels implements Gpu {
  readonly #runtime: Runtime;
  readonly #device: () => Promise<GPUDevice>;
  readonly #pipelines = new Map<Kernel, GPUComputePipeline>();
  readonly #buffers = new Set<GPUBuffer>();
  #params: GPUBuffer | undefined;
  #staging: GPUBuffer | undefined;

  /** @param device answers with the runtime's own device */
  constructor(runtime: Runtime, device: () => Promise<GPUDevice>) {
    this.#runtime = runtime;
    this.#device = device;
  }

  get holdings(): GpuHoldings {
    const bytes = [...this.#buffers].reduce((sum, { size }) => sum + size, 0);
    return { pipelines: this.#pipelines.size, buffers: this.#buffers.size, bytes };
  }

  tensor(tensor: HostTensor): Promise<ResidentTensor> {
    return exclusive(async () => {
      this.#checkLost();
      const { ort } = this.#runtime;
      const { data, dims, dtype } = tensor;
      toOrt(ort, "tensor", tensor); // refuses data that do not fit
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      const gpu = await this.#device();
      const buffer = this.#buffer(gpu, Math.max(roundUp(data.byteLength, ROUNDING), ROUNDING), usage);
      gpu.queue.writeBuffer(buffer, 0, whole(data));
      const raw = ort.Tensor.fromGpuBuffer(buffer, {
        dataType: dtype as "int32",
        dims,
        dispose: () => this.#destroy(buffer),
      });
      return new GuardedResident(raw, this.#runtime);
    });
  }

  run(work: GpuWork): Promise<Uint32Array> {
    return exclusive(async () => {
      this.#checkLost();
      const gpu = await this.#device();
      gpu.pushErrorScope("validation");
      let words: Promise<Uint32Array>;
      try {
        words = this.#submit(gpu, work);
      } catch (cause) {
        await gpu.popErrorScope();
        throw await orLoss(this.#runtime, failed(work, cause));
      }
      const outcome = await words.then((words) => ({ words }), (cause: unknown) => ({ cause }));
      const refusal = await gpu.popErrorScope();
      if (refusal === null && "words" in outcome) return outcome.words;
      throw await orLoss(this.#runtime, failed(work, refusal ?? ("cause" in outcome ? outcome.cause : undefined)));
    });
  }

  clock(): Promise<GpuClock | undefined> {
    return exclusive(async () => {
      const gpu = await this.#device();
      return gpu.features.has("timestamp-query") ? new QueueClock(gpu) : undefined;
    });
  }

  /** Of the engine's own two buffers; tensors belong to those who made them. */
  close(): Promise<void> {
    return exclusive(() => {
      for (const buffer of [this.#params, this.#staging]) if (buffer !== undefined) this.#destroy(buffer);
      this.#params = this.#staging = undefined;
      this.#pipelines.clear();
    });
  }

  /** Refusals of the device come to the error scope, not from here. */
  #submit(gpu: GPUDevice, { writes = [], dispatches, read }: GpuWork): Promise<Uint32Array> {
    for (const { tensor, data } of writes) gpu.queue.writeBuffer(this.#bufferOf(tensor), 0, whole(data));
    const encoder = gpu.createCommandEncoder();
    const params = this.#params = this.#atLeast(
      gpu,
      this.#params,
      SLOT * dispatches.length,
      GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    );
    for (const [index, dispatch] of dispatches.entries()) this.#encode(gpu, encoder, dispatch, params, SLOT * index);
    if (read === undefined || read.words === 0) {
      gpu.queue.submit([encoder.finish()]);
      return Promise.resolve(new Uint32Array());
    }
    const bytes = 4 * read.words;
    const staging = this.#staging = this.#atLeast(
      gpu,
      this.#staging,
      bytes,
      GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    );
    encoder.copyBufferToBuffer(this.#bufferOf(read.tensor), 0, staging, 0, bytes);
    gpu.queue.submit([encoder.finish()]);
    return this.#read(staging, bytes);
  }

  #encode(gpu: GPUDevice, encoder: GPUCommandEncoder, dispatch: Dispatch, params: GPUBuffer, offset: number): void {
    const { kernel, storage, groups } = dispatch;
    const pipeline = this.#pipeline(gpu, kernel);
    gpu.queue.writeBuffer(params, offset, dispatch.params);
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      gpu.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [
          { binding: 0, resource: { buffer: params, offset, size: dispatch.params.byteLength } },
          ...storage.map((tensor, index) => ({
            binding: index + 1,
            resource: { buffer: this.#bufferOf(tensor) },
          })),
        ],
      }),
    );
    pass.dispatchWorkgroups(groups);
    pass.end();
  }

  async #read(staging: GPUBuffer, bytes: number): Promise<Uint32Array> {
    await staging.mapAsync(GPUMapMode.READ, 0, bytes);
    const words = new Uint32Array(staging.getMappedRange(0, bytes).slice(0));
    staging.unmap();
    return words;
  }

  #pipeline(gpu: GPUDevice, kernel: Kernel): GPUComputePipeline {
    const known = this.#pipelines.get(kernel);
    if (known !== undefined) return known;
    const module = gpu.createShaderModule({ label: kernel.name, code: kernel.code });
    const made = gpu.createComputePipeline({
      label: kernel.name,
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
    this.#pipelines.set(kernel, made);
    return made;
  }

  /** The buffer if it is large enough, else a larger one in its place. */
  #atLeast(gpu: GPUDevice, buffer: GPUBuffer | undefined, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    if (buffer !== undefined && buffer.size >= bytes) return buffer;
    if (buffer !== undefined) this.#destroy(buffer);
    return this.#buffer(gpu, roundUp(bytes, 4096), usage);
  }

  #buffer(gpu: GPUDevice, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const buffer = gpu.createBuffer({ size, usage });
    this.#buffers.add(buffer);
    return buffer;
  }

  #destroy(buffer: GPUBuffer): void {
    buffer.destroy();
    this.#buffers.delete(buffer);
  }

  #bufferOf(tensor: ResidentTensor): GPUBuffer {
    return GuardedResident.raw(tensor, this.#runtime, "storage").gpuBuffer as GPUBuffer;
  }

  #checkLost(): void {
    const lost = this.#runtime.lost?.();
    if (lost !== undefined) throw deviceLost(lost);
  }
}

function failed({ dispatches }: GpuWork, cause: unknown): UnmaskError {
  const names = dispatches.map(({ kernel }) => kernel.name).join(", ");
  const reason = cause instanceof GPUError ? new Error(cause.message) : cause;
  return runtimeError(
    "kernel_failed",
    `the GPU refuses ${names}`,
    "report it with the output of `deno task doctor`",
    reason,
  );
}

function roundUp(size: number, step: number): number {
  return Math.ceil(size / step) * step;
}

/** Bytes in multiples of 4, as a GPU wants them. */
function whole({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(roundUp(byteLength, 4));
  bytes.set(new Uint8Array(buffer, byteOffset, byteLength));
  return bytes;
}
