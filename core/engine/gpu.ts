/**
 * What a GPU engine offers beside its runtime: tensors that are written from the host, and kernels of our own over them
 * and over the runtime's tensors, on one device and in one queue.
 *
 * @module
 */
import type { Kernel } from "../../kernels/wgsl/kernel.ts";
import type { HostTensor, ResidentTensor } from "./types.ts";

export interface Dispatch {
  readonly kernel: Kernel;
  /** Of `packParams`. */
  readonly params: ArrayBuffer;
  /** Bound from 1 on. A tensor that is written is bound once. */
  readonly storage: readonly ResidentTensor[];
  /** Workgroups. */
  readonly groups: number;
}

export interface GpuWork {
  /** Go into tensors before the kernels run, from their beginning. */
  readonly writes?: readonly { readonly tensor: ResidentTensor; readonly data: Uint32Array | Int32Array }[];
  /** Run one behind the other, each seeing what those before it wrote. */
  readonly dispatches: readonly Dispatch[];
  /** The beginning of a tensor, read when all has run: the only thing here that waits for the GPU. */
  readonly read?: { readonly tensor: ResidentTensor; readonly words: number };
}

/** What the engine's own kernels hold now; the runtime's are not among them. */
export interface GpuHoldings {
  readonly pipelines: number;
  /** Buffers of tensors and the engine's own two. */
  readonly buffers: number;
  readonly bytes: number;
}

/** Marks in the GPU's queue. */
export interface GpuClock {
  /** Behind everything that was submitted before. */
  mark(): Promise<void>;
  /** Seconds from each mark to the next, by the GPU's clock; forgets them. Waits for the GPU. */
  read(): Promise<number[]>;
  release(): void;
}

export interface Gpu {
  /** A tensor on the device, a feed of any graph of this engine. @throws `gpu_device_lost` */
  tensor(tensor: HostTensor): Promise<ResidentTensor>;
  /**
   * One submission, in its turn among the runs of all sessions.
   *
   * @returns [words], empty without `read`
   * @throws `kernel_failed`, `gpu_device_lost`, `tensor_released`, `tensor_of_another_engine`
   */
  run(work: GpuWork): Promise<Uint32Array>;
  readonly holdings: GpuHoldings;
  /** Undefined where the device has no timestamp queries. Release it. */
  clock(): Promise<GpuClock | undefined>;
}

/** A part of a resident tensor, such as one row of logits. */
export interface TensorPart {
  readonly tensor: ResidentTensor;
  /** In elements. */
  readonly offset: number;
}
