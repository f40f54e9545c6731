import { expect, test } from "vitest";
import { gemmRates } from "../../bench/lib/gemm.ts";
import { readProfile } from "../../bench/lib/profile.ts";
import { openCpu } from "../../core/engine/cpu.ts";
import { GraphBuilder } from "../../kernels/onnx/graph.ts";
import { attention, linear } from "../../kernels/onnx/layers.ts";

const [rows, tokens, keys, width, out] = [2, 5, 7, 8, 12];

function zeros(...dims: number[]) {
  return { dtype: "float32", dims, data: new Float32Array(dims.reduce((a, b) => a * b, 1)) } as const;
}

test("the profile of a graph counts its products and attention by hand's count", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const engine = await openCpu({ threads: 1, profile: folder });
    const g = new GraphBuilder("counted");
    const x = g.input("x", "float32", ["rows", "tokens", width]);
    const k = g.input("k", "float32", ["rows", "keys", width]);
    const load = () => Promise.resolve(new Float32Array(out * width).fill(0.5));
    g.output("y", linear(g, attention(g, x, k, k, 2), { name: "w", dims: [out, width], load }), "float32", [
      "rows",
      "tokens",
      out,
    ]);
    const session = await engine.load(await g.build());
    for (let i = 0; i < 3; i++) {
      await session.run({ x: zeros(rows, tokens, width), k: zeros(rows, keys, width) }, ["y"]);
    }
    await session.release();
    await engine.close();
    const files: string[] = [];
    for await (const { name } of Deno.readDir(folder)) if (name.startsWith("counted_")) files.push(name);
    expect(files).toHaveLength(1);
    const profile = readProfile(await Deno.readTextFile(`${folder}/${files[0]}`));
    expect(profile.runs).toBe(3);
    expect(profile.multiplyAdds).toBe(rows * tokens * width * (out + 2 * keys));
    expect(profile.operators.map(({ operator }) => operator)).toContain("MultiHeadAttention");
    expect(profile.operators.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("a GEMM rate is that of a machine, not of a stopped clock", async () => {
  const engine = await openCpu({ threads: 1 });
  const [rate = 0] = await gemmRates(engine, [[128, 192, 256]], 3);
  await engine.close();
  expect(rate).toBeGreaterThan(1e8);
  expect(rate).toBeLessThan(1e13);
});
