/**
 * ONNX messages (onnx.proto3): field numbers and enumerations, one encoder a message.
 *
 * @module
 */
import { MessageWriter } from "./protobuf.ts";

export type ElementType = "float32" | "float16" | "int32" | "int64" | "uint8" | "bool";

/** TensorProto.DataType and bytes an element. */
const ELEMENT: Record<ElementType, { readonly code: number; readonly bytes: number }> = {
  float32: { code: 1, bytes: 4 },
  uint8: { code: 2, bytes: 1 },
  int32: { code: 6, bytes: 4 },
  int64: { code: 7, bytes: 8 },
  bool: { code: 9, bytes: 1 },
  float16: { code: 10, bytes: 2 },
};

/** A fixed size, or the name of a size known at run time only. */
export type Dimension = number | string;

export type Attribute =
  | { readonly float: number }
  | { readonly integer: number }
  | { readonly string: string }
  | { readonly integers: readonly number[] };

export function elementBytes(type: ElementType): number {
  return ELEMENT[type].bytes;
}

export function encodeAttribute(name: string, value: Attribute): MessageWriter {
  const message = new MessageWriter().string(1, name);
  if ("float" in value) return message.float(2, value.float).integer(20, 1);
  if ("integer" in value) return message.integer(3, value.integer).integer(20, 2);
  if ("string" in value) return message.string(4, value.string).integer(20, 3);
  return message.integers(8, value.integers).integer(20, 7);
}

export function encodeNode(node: {
  readonly name: string;
  readonly operator: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}): MessageWriter {
  const message = new MessageWriter();
  for (const input of node.inputs) message.string(1, input);
  for (const output of node.outputs) message.string(2, output);
  message.string(3, node.name).string(4, node.operator);
  for (const [name, value] of Object.entries(node.attributes)) message.message(5, encodeAttribute(name, value));
  return message.string(7, node.domain);
}

/** TypeProto.Tensor inside ValueInfoProto. */
export function encodeValueInfo(name: string, type: ElementType, dims: readonly Dimension[]): MessageWriter {
  const shape = new MessageWriter();
  for (const dim of dims) {
    const dimension = new MessageWriter();
    shape.message(1, typeof dim === "number" ? dimension.integer(1, dim) : dimension.string(2, dim));
  }
  const tensor = new MessageWriter().integer(1, ELEMENT[type].code).message(2, shape);
  return new MessageWriter().string(1, name).message(2, new MessageWriter().message(1, tensor));
}

/** Where an initializer's bytes are: in the message, or in a file beside it. */
export type Placement =
  | { readonly bytes: Uint8Array }
  | { readonly path: string; readonly offset: number; readonly length: number };

export function encodeInitializer(
  name: string,
  type: ElementType,
  dims: readonly number[],
  placement: Placement,
): MessageWriter {
  const message = new MessageWriter().integers(1, dims).integer(2, ELEMENT[type].code).string(8, name);
  if ("bytes" in placement) return message.bytes(9, placement.bytes);
  const entry = (key: string, value: string) => new MessageWriter().string(1, key).string(2, value);
  return message
    .message(13, entry("location", placement.path))
    .message(13, entry("offset", String(placement.offset)))
    .message(13, entry("length", String(placement.length)))
    .integer(14, 1);
}

/** ModelProto with the two operator sets that the builder uses. */
export function encodeModel(graph: MessageWriter, opset: number): MessageWriter {
  const operatorSet = (domain: string, version: number) => new MessageWriter().string(1, domain).integer(2, version);
  return new MessageWriter()
    .integer(1, 8) // IR version 8 goes with opset 17
    .string(2, "unmask")
    .message(7, graph)
    .message(8, operatorSet("", opset))
    .message(8, operatorSet("com.microsoft", 1));
}
