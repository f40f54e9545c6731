/** Small weight formats: what is stored, and what ONNX Runtime makes of it, against fp64 arithmetic on the same numbers. */
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { type BuildOptions, GraphBuilder, type StoredWeight, type WeightStore } from "../../../kernels/onnx/graph.ts";
import { linear, type Parameter, parameter, tableRows } from "../../../kernels/onnx/layers.ts";
import { BLOCK, toHalf, toInt4, type WeightFormat } from "../../../kernels/onnx/quantize.ts";

/** Numbers of a fixed sequence, about -1 to 1, every 37th ten times as large. */
function numbers(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, (_, index) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * (index % 37 === 0 ? 10 : 1);
  });
}

function parameterOf(dims: readonly number[], format: WeightFormat | undefined, values: Float32Array): Parameter {
  return { name: "w", dims, format, load: () => Promise.resolve(values) };
}

/** The stored matrix as fp64, read the way the operator's documentation says. */
function storedInt4(values: Float32Array, rows: number, columns: number): number[] {
  const { packed, scales } = toInt4(values, rows, columns);
  const blocks = Math.ceil(columns / BLOCK);
  return Array.from({ length: rows * columns }, (_, index) => {
    const column = index % columns;
    const block = Math.floor(index / columns) * blocks + Math.floor(column / BLOCK);
    const byte = packed[block * 16 + (column % BLOCK >> 1)] ?? NaN;
    return ((column % 2 === 0 ? byte & 15 : byte >> 4) - 8) * (scales[block] ?? NaN);
  });
}

async function run(g: GraphBuilder, feeds: Record<string, ort.Tensor>, options: BuildOptions = {}): Promise<number[]> {
  const { model } = await g.build(options);
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const { y } = await session.run(feeds);
  await session.release();
  return Array.from(y?.data as Float32Array);
}

function product(x: ArrayLike<number>, weight: ArrayLike<number>, rows: number, columns: number): number[] {
  const tokens = x.length / columns;
  return Array.from({ length: tokens * rows }, (_, index) => {
    const [token, row] = [Math.floor(index / rows), index % rows];
    let sum = 0;
    for (let i = 0; i < columns; i++) sum += (x[token * columns + i] ?? NaN) * (weight[row * columns + i] ?? NaN);
    return sum;
  });
}

describe("int4", () => {
  test.each([[7, 64], [5, 48], [3, 16], [16, 192]])(
    "a linear map [%i, %i] is that of the stored numbers",
    async (rows, columns) => {
      const values = numbers(rows * columns);
      const x = numbers(3 * columns, 9);
      const g = new GraphBuilder("int4");
      const y = linear(g, g.input("x", "float32", ["n", columns]), parameterOf([rows, columns], "int4", values));
      g.output("y", y, "float32", ["n", rows]);
      const found = await run(g, { x: new ort.Tensor("float32", x, [3, columns]) });
      const wanted = product(x, storedInt4(values, rows, columns), rows, columns);
      const range = Math.max(...wanted.map(Math.abs));
      found.forEach((value, index) => expect(Math.abs(value - (wanted[index] ?? NaN))).toBeLessThan(1e-5 * range));
    },
  );

  test("scales leave less error than even steps from the largest value to its opposite", () => {
    const [rows, columns] = [64, 256];
    const values = numbers(rows * columns);
    const read = storedInt4(values, rows, columns);
    let [own, even] = [0, 0];
    for (let from = 0; from < values.length; from += BLOCK) {
      const step = Math.max(...values.subarray(from, from + BLOCK).map(Math.abs)) / 7;
      for (let i = from; i < from + BLOCK; i++) {
        const value = values[i] ?? NaN;
        own += (value - (read[i] ?? NaN)) ** 2;
        even += (value - Math.round(value / step) * step) ** 2;
      }
    }
    expect(own).toBeLessThan(0.8 * even);
  });

  test("zeros stay zeros, and what lies behind the end of a row is zero", () => {
    const { packed, scales } = toInt4(new Float32Array(40), 1, 40);
    expect(scales).toEqual(Float32Array.of(0, 0));
    expect(new Set(packed)).toEqual(new Set([0x88]));
    expect(toInt4(numbers(40), 1, 40).packed.subarray(16 + 4)).toEqual(new Uint8Array(12).fill(0x88));
  });

  test("infinite weights are refused", () => {
    expect(() => toInt4(Float32Array.of(1, Infinity), 1, 2)).toThrow("a weight holds Infinity");
  });
});

describe("fp16", () => {
  test("linear map, plain weight and table rows hold the rounded numbers", async () => {
    const [rows, columns] = [5, 24];
    const values = numbers(rows * columns);
    const rounded = Float32Array.from(new Float16Array(values));
    const x = numbers(2 * columns, 5);
    const g = new GraphBuilder("half");
    const weight = parameterOf([rows, columns], "float16", values);
    const input = g.input("x", "float32", [2, columns]);
    const picked = tableRows(g, weight, g.input("ids", "int32", [1]));
    const sum = g.node("Add", [
      g.node("Mul", [input, picked]),
      g.node("ReduceSum", [parameter(g, weight)], { keepdims: { integer: 0 } }),
    ]);
    g.output("y", g.node("Concat", [linear(g, input, weight), sum], { axis: { integer: 1 } }), "float32", [2, "n"]);
    const ids = new ort.Tensor("int32", Int32Array.of(3), [1]);
    const found = await run(g, { x: new ort.Tensor("float32", x, [2, columns]), ids });
    const mapped = product(x, rounded, rows, columns);
    const total = rounded.reduce((a, b) => a + b, 0);
    const wanted = [0, 1].flatMap((row) => [
      ...mapped.slice(row * rows, (row + 1) * rows),
      ...Array.from(
        { length: columns },
        (_, i) => (x[row * columns + i] ?? NaN) * (rounded[3 * columns + i] ?? NaN) + total,
      ),
    ]);
    found.forEach((value, index) => expect(value).toBeCloseTo(wanted[index] ?? NaN, 4));
  });

  test("a weight beyond fp16 is refused by name", () => {
    expect(() => toHalf(Float32Array.of(1, 70000), "w")).toThrow("w holds 70000, which fp16 does not");
  });

  test("files shrink as the formats say", async () => {
    const bytes = async (format: WeightFormat | undefined) => {
      const g = new GraphBuilder("size");
      const x = g.input("x", "float32", ["n", 256]);
      g.output("y", linear(g, x, parameterOf([256, 256], format, numbers(256 * 256))), "float32", ["n", 256]);
      return (await g.build()).weightBytes;
    };
    expect(await bytes(undefined)).toBe(4 * 256 * 256);
    expect(await bytes("float16")).toBe(2 * 256 * 256);
    expect(await bytes("int4")).toBe(256 * 256 / 2 + 4 * 256 * 256 / 32);
  });
});

describe("store", () => {
  test("keeps a weight of one name once for two graphs, which read it from the file", async () => {
    const folder = await Deno.makeTempDir();
    try {
      const stored = new Map<string, StoredWeight>();
      const begun: [string, number][] = [];
      const store: WeightStore = {
        begin: (...graph) => void begun.push(graph),
        async place(name, length, load) {
          const known = stored.get(name);
          if (known !== undefined) return known;
          const offset = stored.size * 65536; // behind one another, on a page
          using file = await Deno.open(`${folder}/all.bin`, { write: true, create: true });
          await file.seek(offset, Deno.SeekMode.Start);
          await file.write(await load());
          const place = { path: "all.bin", offset, length };
          stored.set(name, place);
          return place;
        },
      };
      const x = new ort.Tensor("float32", numbers(128, 3), [1, 128]);
      const values = numbers(128 * 128);
      for (const name of ["first", "second"]) {
        const g = new GraphBuilder(name);
        const input = g.input("x", "float32", ["n", 128]);
        g.output("y", linear(g, input, parameterOf([128, 128], "int4", values)), "float32", ["n", 128]);
        const { model, weightBytes, externalData } = await g.build({ store });
        expect(externalData).toBeUndefined();
        expect(begun.at(-1)).toEqual([name, weightBytes]);
        await Deno.writeFile(`${folder}/${name}.onnx`, model);
        const session = await ort.InferenceSession.create(`${folder}/${name}.onnx`);
        const { y } = await session.run({ x });
        await session.release();
        const wanted = product(x.data as Float32Array, storedInt4(values, 128, 128), 128, 128);
        Array.from(y?.data as Float32Array).forEach((value, i) => expect(value).toBeCloseTo(wanted[i] ?? NaN, 3));
      }
      expect([...stored.keys()]).toEqual(["w:int4", "w:scales"]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});
