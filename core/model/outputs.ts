/**
 * What a session gave, as numbers on the host.
 *
 * @module
 */
import type { HostTensor, ResidentTensor } from "../engine/types.ts";

/** @throws {RangeError} if there is no output of that name, or it is not fp32 */
export async function hostFloats(
  outputs: Readonly<Record<string, HostTensor | ResidentTensor>>,
  name: string,
): Promise<Float32Array> {
  const tensor = outputs[name];
  if (tensor === undefined) throw new RangeError(`the graph gave no ${name}`);
  const { data } = "read" in tensor ? await tensor.read() : tensor;
  if (!(data instanceof Float32Array)) throw new RangeError(`${name} is not fp32`);
  return data;
}
