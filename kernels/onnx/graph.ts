/**
 * A graph under construction: inputs, nodes, initializers whose data is loaded only when the graph is built, and
 * outputs. `build` gives the bytes of a ModelProto, with large initializers beside it where they would not fit in one
 * protobuf message.
 *
 * @module
 */
import { MessageWriter } from "./protobuf.ts";
import {
  type Attribute,
  type Dimension,
  elementBytes,
  type ElementType,
  encodeInitializer,
  encodeModel,
  encodeNode,
  encodeValueInfo,
  type Placement,
} from "./schema.ts";

/** One edge of the graph. */
export interface Value {
  readonly name: string;
}

export type InitializerData = Float32Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array;

/** What `build` returns; structurally core/engine's `Graph`. */
export interface BuiltGraph {
  readonly name: string;
  readonly model: Uint8Array;
  readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array }[];
  /** Bytes of all initializers. */
  readonly weightBytes: number;
}

/** Where a weight's bytes lie: in a file beside the model. */
export interface StoredWeight {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** Keeps weights in files for several graphs; a weight of one name is one weight, in whichever graph. */
export interface WeightStore {
  /** `bytes`: of all the graph's weights. */
  begin(graph: string, bytes: number): void;
  /** Loads and keeps the weight, unless it is kept already. */
  place(name: string, length: number, load: () => Promise<Uint8Array>): Promise<StoredWeight>;
}

export interface BuildOptions {
  /** Above this many bytes of initializers they go to external files. Protobuf ends at 2 GiB. @default {1 GiB} */
  readonly inlineLimit?: number;
  /** Largest external file, in bytes; one initializer never spans two. @default {1.5 GiB} */
  readonly fileLimit?: number;
  /** Takes all but the smallest initializers, whatever the limits; `externalData` is then absent. */
  readonly store?: WeightStore;
}

interface Initializer {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly load: () => InitializerData | Promise<InitializerData>;
}

interface OutputInfo {
  readonly type: ElementType;
  readonly dims: readonly Dimension[];
}

export const OPSET = 17;
/** External initializers start on a page, so that a runtime may map them. */
const ALIGNMENT = 4096;
/** Smaller ones stay in the message: shape inference reads them. */
const ALWAYS_INLINE = 1024;

/**
 * ```ts
 * const g = new GraphBuilder("double");
 * const x = g.input("x", "float32", ["n"]);
 * g.output("y", g.node("Add", [x, x]), "float32", ["n"]);
 * const graph = await g.build();
 * ```
 */
export class GraphBuilder {
  readonly name: string;
  #nodes: MessageWriter[] = [];
  #inputs: MessageWriter[] = [];
  #outputs = new Map<string, OutputInfo>();
  #initializers = new Map<string, Initializer>();
  #counter = 0;
  #wanted: ReadonlySet<string>;
  #offered = new Set<string>();

  /** `observe`: names of intermediate values that become outputs too, see {@link GraphBuilder.observe}. */
  constructor(name: string, observe: readonly string[] = []) {
    this.name = name;
    this.#wanted = new Set(observe);
  }

  /** True if intermediates were asked for; a graph's code then leaves its savings off. */
  get observing(): boolean {
    return this.#wanted.size > 0;
  }

  input(name: string, type: ElementType, dims: readonly Dimension[]): Value {
    this.#inputs.push(encodeValueInfo(name, type, dims));
    return { name };
  }

  /** A weight. The same name twice is the same weight; its data is loaded once, in `build`. */
  initializer(
    name: string,
    type: ElementType,
    dims: readonly number[],
    load: () => InitializerData | Promise<InitializerData>,
  ): Value {
    const known = this.#initializers.get(name);
    if (known === undefined) this.#initializers.set(name, { name, type, dims, load });
    else if (known.dims.join() !== dims.join()) {
      throw new RangeError(`initializer ${name} is [${known.dims}] and cannot be [${dims}] too`);
    }
    return { name };
  }

  /** int64 constant, rank 1; for shapes, axes and sizes. */
  integers(values: readonly number[]): Value {
    return this.initializer(
      `integers:${values.join(",")}`,
      "int64",
      [values.length],
      () => BigInt64Array.from(values, BigInt),
    );
  }

  /** fp32 constant, rank 0. */
  scalar(value: number): Value {
    return this.initializer(`scalar:${value}`, "float32", [], () => Float32Array.of(value));
  }

  /** One node with one output. A missing optional input is `undefined`. */
  node(
    operator: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): Value {
    const name = `${operator}_${this.#counter++}`;
    this.#nodes.push(encodeNode({
      name,
      operator,
      domain,
      inputs: inputs.map((value) => value?.name ?? ""),
      outputs: [name],
      attributes,
    }));
    return { name };
  }

  output(name: string, value: Value, type: ElementType, dims: readonly Dimension[]): void {
    if (this.#outputs.has(name)) throw new RangeError(`output ${name} is given twice`);
    this.#outputs.set(name, { type, dims });
    this.#nodes.push(encodeNode({
      name: `output:${name}`,
      operator: "Identity",
      domain: "",
      inputs: [value.name],
      outputs: [name],
      attributes: {},
    }));
  }

  /** Offers an intermediate value; it becomes an fp32 output if its name was asked for. Returns the value. */
  observe(name: string, value: Value, dims: readonly Dimension[]): Value {
    this.#offered.add(name);
    if (this.#wanted.has(name)) this.output(name, value, "float32", dims);
    return value;
  }

  /** Loads every weight, one at a time, and encodes the model. */
  async build(options: BuildOptions = {}): Promise<BuiltGraph> {
    const unknown = [...this.#wanted].filter((name) => !this.#offered.has(name));
    if (unknown.length > 0) {
      throw new RangeError(`${this.name} has no ${unknown.join(", ")}; it offers ${[...this.#offered].join(", ")}`);
    }
    const graph = new MessageWriter();
    for (const node of this.#nodes) graph.message(1, node);
    graph.string(2, this.name);
    const { files, weightBytes } = await this.#encodeInitializers(graph, options);
    for (const input of this.#inputs) graph.message(11, input);
    for (const [name, info] of this.#outputs) graph.message(12, encodeValueInfo(name, info.type, info.dims));
    const model = encodeModel(graph, OPSET).finish();
    const built = { name: this.name, model, weightBytes };
    return files.length === 0 ? built : { ...built, externalData: files };
  }

  async #encodeInitializers(graph: MessageWriter, options: BuildOptions) {
    const list = [...this.#initializers.values()];
    const weightBytes = list.reduce((sum, each) => sum + byteLength(each), 0);
    const external = options.store === undefined && weightBytes > (options.inlineLimit ?? 2 ** 30);
    const plan = external
      ? planFiles(this.name, list, options.fileLimit ?? 1.5 * 2 ** 30)
      : { sizes: [], place: new Map<string, Place>() };
    const { store } = options;
    store?.begin(this.name, weightBytes);
    const files = plan.sizes.map(({ path, size }) => ({ path, data: new Uint8Array(size) }));
    const data = new Map(files.map((file) => [file.path, file.data]));
    for (const each of list) {
      const length = byteLength(each);
      const load = async () => asBytes(await each.load(), each);
      let placement: Placement;
      if (store !== undefined && length >= ALWAYS_INLINE) placement = await store.place(each.name, length, load);
      else {
        const bytes = await load();
        const place = plan.place.get(each.name);
        if (place !== undefined) data.get(place.path)?.set(bytes, place.offset);
        placement = place === undefined ? { bytes } : { ...place, length };
      }
      graph.message(5, encodeInitializer(each.name, each.type, each.dims, placement));
    }
    return { files, weightBytes };
  }
}

function byteLength(initializer: Initializer): number {
  return initializer.dims.reduce((product, dim) => product * dim, 1) * elementBytes(initializer.type);
}

function asBytes(data: InitializerData, initializer: Initializer): Uint8Array {
  const expected = byteLength(initializer);
  if (data.byteLength !== expected) {
    throw new RangeError(
      `initializer ${initializer.name} [${initializer.dims}] needs ${expected} bytes, its loader gave ${data.byteLength}`,
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

type Place = Pick<StoredWeight, "path" | "offset">;

interface FileSize {
  readonly path: string;
  size: number;
}

function planFiles(graphName: string, list: readonly Initializer[], limit: number) {
  const place = new Map<string, Place>();
  const sizes: FileSize[] = [];
  for (const each of list) {
    const length = byteLength(each);
    if (length < ALWAYS_INLINE) continue;
    let file = sizes.at(-1);
    const offset = Math.ceil((file?.size ?? 0) / ALIGNMENT) * ALIGNMENT;
    if (file === undefined || offset + length > limit) {
      file = { path: `${graphName}.${sizes.length}.bin`, size: 0 };
      sizes.push(file);
    }
    const start = file.size === 0 ? 0 : offset;
    place.set(each.name, { path: file.path, offset: start });
    file.size = start + length;
  }
  return { place, sizes };
}
