/**
 * Tensors across the border to onnxruntime: checked on the way in, plain typed arrays on the way out.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { OrtModule, OrtTensor } from "./ort.ts";
import type { DType, HostTensor, TensorData } from "./types.ts";

const ARRAYS = {
  float32: Float32Array,
  float16: Uint16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

export function elements(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Of a tensor's data, wherever it is. */
export function byteLength({ dtype, dims }: { readonly dtype: DType; readonly dims: readonly number[] }): number {
  return elements(dims) * ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** @throws `tensor_shape_mismatch`, `tensor_type_mismatch` */
export function toOrt(ort: OrtModule, name: string, tensor: HostTensor): OrtTensor {
  const { dtype, dims, data } = tensor;
  if (!(data instanceof ARRAYS[dtype])) {
    throw new UnmaskError({
      code: "tensor_type_mismatch",
      message: `input ${name} says ${dtype} and holds a ${data.constructor.name}`,
      fix: `give a ${ARRAYS[dtype].name}`,
      param: name,
      status: 500,
    });
  }
  if (data.length !== elements(dims)) {
    throw new UnmaskError({
      code: "tensor_shape_mismatch",
      message: `input ${name} is [${dims}], which needs ${elements(dims)} values, and holds ${data.length}`,
      fix: "make the shape and the data agree",
      param: name,
      status: 500,
    });
  }
  // onnxruntime accepts raw 16-bit words for float16 in all its builds, but types them as Float16Array in some.
  return new ort.Tensor(dtype, data as never, dims);
}

/** The typed array over `bytes`, which it takes over; must be aligned to the element. */
export function typedArray(dtype: DType, bytes: ArrayBuffer): TensorData {
  return new ARRAYS[dtype](bytes);
}

/** A tensor of the runtime that lies in host memory; `copy` where the runtime's own array must stay untouched. */
export function toHost(tensor: OrtTensor, data: OrtTensor["data"], copy: boolean): HostTensor {
  const dtype = dtypeOf(tensor);
  if (Array.isArray(data)) throw new TypeError("string tensors do not cross the engine's border");
  const view = data as Exclude<typeof data, string[]>;
  const array = copy ? view.slice() : view;
  // Float16Array in some builds, Uint16Array in others: the border speaks raw words.
  const words = dtype === "float16" && !(array instanceof Uint16Array)
    ? new Uint16Array(array.buffer, array.byteOffset, array.length)
    : array;
  return { dtype, dims: [...tensor.dims], data: words as TensorData };
}

export function dtypeOf(tensor: OrtTensor): DType {
  const type: string = tensor.type;
  if (type in ARRAYS) return type as DType;
  throw new UnmaskError({
    code: "tensor_type_unsupported",
    message: `the runtime answered with a ${type} tensor`,
    fix: `cast it in the graph to one of ${Object.keys(ARRAYS).join(", ")}`,
    status: 500,
  });
}
