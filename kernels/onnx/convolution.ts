/**
 * Layers of convolutional networks, on [pictures, channels, height, width].
 *
 * @module
 */
import type { GraphBuilder, Value } from "./graph.ts";
import { add, multiply, reshape } from "./ops.ts";
import { type Parameter, parameter } from "./layers.ts";

export interface ConvolutionOptions {
  /** @default {1} */
  readonly stride?: number;
  /** Zeros at top, left, bottom, right. @default {(kernel - 1) / 2 on each side} */
  readonly pads?: readonly [number, number, number, number];
}

/** weight [out, in, kernel, kernel], bias [out]. */
export function convolution(
  g: GraphBuilder,
  x: Value,
  weight: Parameter,
  bias: Parameter,
  options: ConvolutionOptions = {},
): Value {
  const kernel = weight.dims[2] ?? 1;
  const side = (kernel - 1) / 2;
  const stride = options.stride ?? 1;
  return g.node("Conv", [x, parameter(g, weight), parameter(g, bias)], {
    kernel_shape: { integers: [kernel, kernel] },
    strides: { integers: [stride, stride] },
    pads: { integers: options.pads ?? [side, side, side, side] },
  });
}

/**
 * Each picture's groups of neighbouring channels to mean 0 and variance 1, then scaled and shifted by channel.
 *
 * Not InstanceNormalization: on the CPU providers it adds a group's numbers up in one go, and a group of 2^19 of them (8
 * channels of 256x256) moved the VQ encoder's latents by 4e-4 of their range on cpu and 1.6e-3 on wasm. Means of means
 * along a row, then over rows, are right to rounding.
 */
export function groupNorm(
  g: GraphBuilder,
  x: Value,
  weight: Parameter,
  bias: Parameter,
  options: { readonly groups: number; readonly epsilon: number },
): Value {
  const { groups, epsilon } = options;
  const channels = weight.dims[0] ?? 0;
  // The width stays where it is and the height is inferred, so that no shape is computed at run time.
  const grouped = reshape(g, x, [0, groups, -1, 0]);
  const mean = (value: Value) =>
    [3, 2].reduce((means, axis) => g.node("ReduceMean", [means], { axes: { integers: [axis] } }), value);
  const centred = g.node("Sub", [grouped, mean(grouped)]);
  const variance = mean(multiply(g, centred, centred));
  const floor = g.initializer(`epsilon:${epsilon}`, "float32", [], () => Float32Array.of(epsilon));
  const normalised = g.node("Div", [centred, g.node("Sqrt", [add(g, variance, floor)])]);
  const restored = reshape(g, normalised, [0, channels, -1, 0]);
  const byChannel = (value: Parameter) =>
    g.initializer(`${value.name}:channels`, "float32", [channels, 1, 1], () => value.load());
  return add(g, multiply(g, restored, byChannel(weight)), byChannel(bias));
}

/** Twice the height and width, each pixel repeated. */
export function upsampleNearest(g: GraphBuilder, x: Value): Value {
  const scales = g.initializer("scales:2", "float32", [4], () => Float32Array.of(1, 1, 2, 2));
  return g.node("Resize", [x, undefined, scales], {
    mode: { string: "nearest" },
    coordinate_transformation_mode: { string: "asymmetric" },
    nearest_mode: { string: "floor" },
  });
}
