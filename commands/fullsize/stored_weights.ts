/**
 * Initializers of a graph file by name, read back from the bytes on disk: the other direction of kernels/onnx/schema.ts.
 *
 * @module
 */
import { join } from "node:path";

interface Initializer {
  readonly dims: readonly number[];
  readonly data: Uint8Array | { readonly path: string; readonly offset: number; readonly length: number };
}

export class StoredWeights {
  readonly #folder: string;
  readonly #initializers: ReadonlyMap<string, Initializer>;

  private constructor(folder: string, initializers: ReadonlyMap<string, Initializer>) {
    this.#folder = folder;
    this.#initializers = initializers;
  }

  static async open(folder: string, graph: string): Promise<StoredWeights> {
    const model = await Deno.readFile(join(folder, `${graph}.onnx`));
    const initializers = new Map<string, Initializer>();
    for (const body of messages(model, 7)) {
      for (const tensor of messages(body, 5)) {
        const [name, initializer] = parseTensor(tensor);
        initializers.set(name, initializer);
      }
    }
    return new StoredWeights(folder, initializers);
  }

  has(name: string): boolean {
    return this.#initializers.has(name);
  }

  dims(name: string): readonly number[] {
    return this.#find(name).dims;
  }

  async bytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { data } = this.#find(name);
    if (data instanceof Uint8Array) return data.slice();
    using file = await Deno.open(join(this.#folder, data.path));
    await file.seek(data.offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(data.length);
    for (let done = 0; done < bytes.length;) {
      const read = await file.read(bytes.subarray(done));
      if (read === null) throw new RangeError(`${data.path} ends within ${name}`);
      done += read;
    }
    return bytes;
  }

  /** fp16 numbers. */
  async half(name: string): Promise<Float64Array> {
    return Float64Array.from(new Float16Array((await this.bytes(`${name}:half`)).buffer));
  }

  #find(name: string): Initializer {
    const found = this.#initializers.get(name);
    if (found === undefined) throw new RangeError(`the graph has no ${name}`);
    return found;
  }
}

function parseTensor(bytes: Uint8Array): [string, Initializer] {
  const dims: number[] = [];
  let name = "";
  let raw: Uint8Array | undefined;
  const external: Record<string, string> = {};
  for (const { field, value } of fields(bytes)) {
    if (field === 1 && typeof value === "number") dims.push(value);
    if (!(value instanceof Uint8Array)) continue;
    if (field === 8) name = text(value);
    if (field === 9) raw = value;
    if (field === 13) {
      const entry = new Map([...fields(value)].map((each) => [each.field, each.value]));
      const part = (number: number) =>
        entry.get(number) instanceof Uint8Array ? text(entry.get(number) as Uint8Array) : "";
      external[part(1)] = part(2);
    }
  }
  if (raw !== undefined) return [name, { dims, data: raw }];
  const { location = "", offset, length } = external;
  return [name, { dims, data: { path: location, offset: Number(offset), length: Number(length) } }];
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function* messages(bytes: Uint8Array, wanted: number): Generator<Uint8Array> {
  for (const { field, value } of fields(bytes)) if (field === wanted && value instanceof Uint8Array) yield value;
}

/** Protobuf's wire format: varints as numbers, the rest as bytes. */
function* fields(bytes: Uint8Array): Generator<{ readonly field: number; readonly value: number | Uint8Array }> {
  let at = 0;
  const varint = () => {
    let [value, factor] = [0, 1];
    while (true) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === 0) yield { field, value: varint() };
    else {
      const length = wire === 2 ? varint() : wire === 5 ? 4 : 8;
      yield { field, value: bytes.subarray(at, at + length) };
      at += length;
    }
  }
}
