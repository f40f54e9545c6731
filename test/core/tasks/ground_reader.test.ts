/** What LOC logits say: on the GPU what the host says, for any logits there may be. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Gpu } from "../../../core/engine/gpu.ts";
import type { Engine } from "../../../core/engine/types.ts";
import type { ResidentAnswering } from "../../../core/model/types.ts";
import { type GroundForward, type GroundReader, groundReaderFor } from "../../../core/tasks/ground_reader.ts";
import { openGpu, randomLogits, SLOW, upload } from "../../kernels/wgsl/device.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { seeingModel } from "./seeing_model.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const masks = (count: number) => Uint32Array.from({ length: count }, (_, i) => 3 + 2 * i);

/** Over these logits alone, wherever they are asked for. */
async function read(logits: Float32Array, count: number, gpu?: Gpu): Promise<GroundForward> {
  const { resident: _, ...model } = seeingModel().understanding;
  const asked: number[][] = [];
  const understanding = {
    ...model,
    locations: (_cache: unknown, _input: unknown, places: Uint32Array) => {
      asked.push([...places]);
      return Promise.resolve(logits);
    },
  };
  const reader: GroundReader = groundReaderFor(
    gpu === undefined ? understanding : { ...understanding, resident: await residentOver(logits, count, gpu, asked) },
    masks(count),
  );
  try {
    const found = await reader.read({ ids: new Int32Array(3 + 2 * count) }, 0);
    expect(asked).toEqual([[...masks(count)]]);
    return found;
  } finally {
    reader.close();
  }
}

async function residentOver(logits: Float32Array, count: number, gpu: Gpu, asked: number[][]) {
  const tensor = await upload(gpu, logits);
  const resident: ResidentAnswering = {
    gpu,
    vocabulary: 0,
    locTokens: logits.length / count,
    words: () => Promise.reject(new Error("grounding asks for no words")),
    locations: (_cache, _input, places) => {
      asked.push([...places]);
      return Promise.resolve({ rows: [{ tensor, offset: 0 }], release: () => tensor.release() });
    },
  };
  return resident;
}

const odd = Float32Array.from(
  [[1, nan, 3, 2], [nan, nan, nan, nan], [0, inf, 1, inf], [-inf, -inf, 4, -inf], [1, 1, 1, -inf], [3, 3, 0, 0]].flat(),
);
const oddWant = { best: Uint32Array.of(2, 0, 1, 2, 0, 0), surest: [2, 3, 0, 5, 4, 1] };

test("NaN and infinities on the host: the first largest number, equals in order, no number last", async () => {
  expect(await read(odd, 6)).toEqual(oddWant);
});

describeWebGpu("reading boxes", () => {
  let engine: Engine;
  let gpu: Gpu;
  beforeAll(async () => void ({ engine, gpu } = await openGpu()), SLOW);
  afterAll(() => engine?.close());

  test.each([[1, 9], [4, 1025], [8, 257], [256, 1025]])("%i coordinates of %i numbers", async (count, numbers) => {
    const logits = randomLogits(count * numbers, count + numbers);
    expect(await read(logits, count, gpu)).toEqual(await read(logits, count));
  }, SLOW);

  test("NaN, infinities and equals", async () => {
    expect(await read(odd, 6, gpu)).toEqual(oddWant);
    const equal = new Float32Array(8 * 65).fill(-2.5);
    expect(await read(equal, 8, gpu)).toEqual({ best: new Uint32Array(8), surest: [0, 1, 2, 3, 4, 5, 6, 7] });
  }, SLOW);

  test("a reader that was closed opens nothing", async () => {
    const { understanding } = seeingModel();
    const buffers = gpu.holdings.buffers;
    const resident = await residentOver(new Float32Array(4 * 9), 4, gpu, []);
    const reader = groundReaderFor({ ...understanding, resident }, masks(4));
    reader.close();
    await expect(reader.read({ ids: new Int32Array(12) }, 0)).rejects.toThrow("was closed");
    (await resident.locations(undefined, { ids: new Int32Array() }, masks(4))).release();
    await gpu.run({ dispatches: [] });
    expect(gpu.holdings.buffers).toBeLessThanOrEqual(Math.max(buffers, 2));
  }, SLOW);
});
