/** A bare engine over onnxruntime-node's CPU provider, so that these tests stand without core/engine. */
import * as ort from "onnxruntime-node";
import type { Engine, Graph, HostTensor, ResidentTensor } from "../../../core/engine/types.ts";

function toTensor(host: HostTensor): ort.Tensor {
  const { data, dims } = host;
  if (data instanceof Float32Array) return new ort.Tensor("float32", data, dims);
  if (data instanceof Int32Array) return new ort.Tensor("int32", data, dims);
  if (data instanceof BigInt64Array) return new ort.Tensor("int64", data, dims);
  throw new TypeError(`no ${host.dtype} here`);
}

function toHost(tensor: ort.Tensor): HostTensor {
  const { type, dims, data } = tensor;
  if (type === "float32" && data instanceof Float32Array) return { dtype: type, dims, data };
  if (type === "int64" && data instanceof BigInt64Array) return { dtype: type, dims, data };
  throw new TypeError(`no ${type} here`);
}

/** Counts what it holds, so that a test can tell a leak. */
export interface NodeEngine extends Engine {
  readonly held: { sessions: number; tensors: number };
}

export function nodeEngine(): NodeEngine {
  const held = { sessions: 0, tensors: 0 };
  const resident = (tensor: ort.Tensor): ResidentTensor & { readonly tensor: ort.Tensor } => {
    held.tensors++;
    return {
      dtype: toHost(tensor).dtype,
      dims: tensor.dims,
      tensor,
      read: () => Promise.resolve(toHost(tensor)),
      release: () => void held.tensors--,
    };
  };
  return {
    held,
    info: { provider: "cpu", runtime: "onnxruntime-node", device: "test", software: false, threads: 1 },
    async load(graph: Graph) {
      const session = await ort.InferenceSession.create(graph.model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
      held.sessions++;
      return {
        name: graph.name,
        async run(feeds, outputs, keep = []) {
          const tensors: Record<string, ort.Tensor> = {};
          for (const [name, feed] of Object.entries(feeds)) {
            tensors[name] = "tensor" in feed ? (feed as { tensor: ort.Tensor }).tensor : toTensor(feed as HostTensor);
          }
          const results = await session.run(tensors, [...outputs]);
          return Object.fromEntries(outputs.map((name) => {
            const tensor = results[name];
            if (tensor === undefined) throw new Error(`no output ${name}`);
            return [name, keep.includes(name) ? resident(tensor) : toHost(tensor)];
          }));
        },
        async release() {
          held.sessions--;
          await session.release();
        },
      };
    },
    close: () => Promise.resolve(),
  };
}
