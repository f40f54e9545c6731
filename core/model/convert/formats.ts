/**
 * Which tensor is stored how in a conversion.
 *
 * @module
 */
import type { WeightFormat } from "../../../kernels/onnx/quantize.ts";
import { VQ_PREFIX } from "../layout.ts";
import type { TensorSource } from "../weights.ts";
import type { Dtype } from "./manifest.ts";
import { evenedUnits } from "./evened_units.ts";

const VISION = ["model.vision_tower.", "model.vision_resampler.", "model.mm_projector.", "model.image_newline"];

/** fp16 throughout, or int4 for the linear maps of both branches and of the heads. */
export function formatOf(name: string, dtype: Dtype): WeightFormat {
  const small = name.startsWith(VQ_PREFIX) || VISION.some((prefix) => name.startsWith(prefix));
  return dtype === "int4" && !small ? "int4" : "float16";
}

/** The same model for graphs that store its weights as `dtype`. */
export function formatted(source: TensorSource, dtype: Dtype): TensorSource {
  const from = dtype === "int4" ? evenedUnits(source) : source;
  return {
    dims: (name) => from.dims(name),
    read: (name) => from.read(name),
    readRows: (name, first, count) => from.readRows(name, first, count),
    format: (name) => formatOf(name, dtype),
  };
}
