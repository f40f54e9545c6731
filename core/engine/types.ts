/**
 * What the rest of the project may know of the runtime: tensors, graphs, sessions, providers. Nothing outside
 * `core/engine` imports onnxruntime; everything outside it speaks these types.
 *
 * @module
 */
import type { Gpu } from "./gpu.ts";

/** Element types that cross the engine's border. fp16 data travels as raw 16-bit words. */
export type DType = "float32" | "float16" | "int32" | "int64" | "uint8" | "bool";

export type TensorData = Float32Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array;

/** A tensor in host memory, row-major. */
export interface HostTensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** A tensor that stays where the provider put it (GPU buffer, or host memory on a CPU provider). Release it once. */
export interface ResidentTensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** Copies to the host; on WebGPU this costs a read, so the step loop must not do it for large tensors. */
  read(): Promise<HostTensor>;
  release(): void;
}

/** An ONNX graph in memory: the ModelProto's bytes and its external data, if any. */
export interface Graph {
  readonly name: string;
  readonly model: Uint8Array;
  readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array }[];
  /**
   * Why some nodes of this graph may run on the CPU under the webgpu provider. Without it `load` refuses a graph that
   * is not wholly on the GPU (`graph_not_on_gpu`); shape arithmetic does not count.
   */
  readonly cpuNodes?: string;
}

/** A graph on disk. The CPU provider maps its weights from there; the others read them while they load. */
export interface GraphFile {
  readonly name: string;
  /** The ModelProto's file. */
  readonly path: string;
  /** Files of external data, in the same folder, by their plain names. */
  readonly externalData: readonly string[];
  /**
   * On a CPU provider fp16 weights stay fp16 in memory and are widened in every run. Without it they are widened once and
   * take twice the memory: right for what runs often, wrong for a decoder that runs once a picture.
   */
  readonly keepHalf?: boolean;
  readonly cpuNodes?: string;
}

export type Provider = "webgpu" | "cpu" | "wasm";

/** What is really used; printed by /health and doctor. */
export interface EngineInfo {
  readonly provider: Provider;
  /** onnxruntime-web or onnxruntime-node, with its version. */
  readonly runtime: string;
  /** The adapter's own description (webgpu), or the CPU's model name. */
  readonly device: string;
  /** True for llvmpipe, SwiftShader and other software adapters. */
  readonly software: boolean;
  readonly threads: number;
}

export interface Session {
  readonly name: string;
  /**
   * Runs the graph. `keep` names outputs that stay resident. All calls of all sessions pass one lock, so feeds are read
   * when the run's turn comes: leave their data alone until it settles.
   */
  run(
    feeds: Readonly<Record<string, HostTensor | ResidentTensor>>,
    outputs: readonly string[],
    keep?: readonly string[],
  ): Promise<Record<string, HostTensor | ResidentTensor>>;
  release(): Promise<void>;
}

export interface Engine {
  readonly info: EngineInfo;
  /** Only of the webgpu provider. */
  readonly gpu?: Gpu;
  load(graph: Graph | GraphFile): Promise<Session>;
  close(): Promise<void>;
}
