/**
 * Which tensor is stored how in a conversion.
 *
 * @module
 */
import type { WeightFormat } from "../../../kernels/onnx/quantize.ts";
import type { TensorSource } from "../weights.ts";
import type { Dtype } from "./manifest.ts";
import { evenedUnits } from "./evened_units.ts";

/** Linear maps of the layers, and the two heads over ids: nearly all that there is, and what each step reads. */
const LARGE = /^model\.(transformer\.(blocks\.|ff_out\.)|gen_predictor\.2\.)/;

/**
 * fp16 throughout, or int4 for the large. The maps between VQ ids and tokens are small, and every logit depends on them: they
 * stay fp16, convolutions among them.
 */
export function formatOf(name: string, dtype: Dtype): WeightFormat {
  return dtype === "int4" && LARGE.test(name) ? "int4" : "float16";
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
