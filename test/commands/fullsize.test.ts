/** The dry run, sixteen times smaller: its source, its figures, its spot check. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fullsizeCommand, fullsizeExit } from "../../commands/fullsize.ts";
import { limitLines, limits } from "../../commands/fullsize/limits.ts";
import { referenceLogits } from "../../commands/fullsize/reference.ts";
import { StoredWeights } from "../../commands/fullsize/stored_weights.ts";
import { errorOf } from "../../commands/fullsize/stage.ts";
import type { RunFigures } from "../../commands/fullsize/table.ts";
import { syntheticConfig, syntheticWeights } from "../../commands/fullsize/synthetic.ts";
import { modelLayout } from "../../core/model/layout.ts";
import { collect } from "./collect.ts";

let root: string;
beforeEach(async () => {
  root = await Deno.makeTempDir();
});
afterEach(() => Deno.remove(root, { recursive: true }));

const call = (...args: string[]) => collect(fullsizeCommand, [...args, "--scale", "16", "--threads", "1", "--json"]);

test("converts, loads, steps, and says what it measured", async () => {
  const to = `${root}/out`;
  const { code, stdout, stderr } = await call("--to", to, "--parts", "all", "--size", "64");
  expect(stderr).toContain("logits against fp64");
  expect(code).toBe(0);
  const line = JSON.parse(stdout);
  const [draw, understand] = line.runs;
  expect(line.converted.bytes).toBeGreaterThan(draw.loadedBytes);
  expect(draw.graphs.map(({ graph }: { graph: string }) => graph).sort()).toEqual(["draw_full", "vq_decode"]);
  expect(draw.check).toMatchObject({ compared: 3 * 512 });
  expect(draw.check.error).toBeLessThan(1e-5);
  expect(draw.check.error).toBeGreaterThan(0);
  // A block of 32 masks through [vocabulary, d].
  const head = understand.graphs.find(({ graph }: { graph: string }) => graph === "text_head");
  expect(head.multiplyAdds).toBe(32 * 256 * Math.ceil(127378 / 16));
  await expect(Deno.stat(to)).rejects.toThrow(Deno.errors.NotFound);
});

test("stages one after the other; the reference tells one weight from another", async () => {
  const to = `${root}/out`;
  expect((await call("--to", to, "--stage", "convert")).code).toBe(0);
  const { code, stdout } = await call("--to", to, "--stage", "run", "--size", "64", "--keep");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ converted: null, runs: [{ part: "draw" }] });
  const config = syntheticConfig({ scale: 16 });
  const vector = (k: number) => Float64Array.from({ length: config.dModel }, (_, i) => Math.sin(i * k + k));
  const run = async () =>
    await referenceLogits(config, await StoredWeights.open(to, "draw_full"), {
      prefix: [vector(1), vector(2)],
      suffix: [vector(3)],
      ids: Uint16Array.from({ length: 16 }, (_, i) => 31 * i),
      width: 4,
      positions: Uint32Array.of(6),
    });
  const before = await run();
  const name = "model.transformer.blocks.0.v_proj.weight";
  const [rows, blocks] = (await StoredWeights.open(to, "draw_full")).dims(`${name}:int4`);
  expect([rows, blocks]).toEqual([256, 8]);
  const bytes = await Deno.readFile(`${to}/weights.0.bin`);
  const stored = await (await StoredWeights.open(to, "draw_full")).bytes(`${name}:int4`);
  const at = bytes.findIndex((_, i) => stored.subarray(0, 64).every((byte, j) => bytes[i + j] === byte));
  bytes.fill(0, at, at + stored.length);
  await Deno.writeFile(`${to}/weights.0.bin`, bytes);
  expect(errorOf(await run(), before)).toBeGreaterThan(1e-3);
});

describe("the source", () => {
  const config = syntheticConfig({ scale: 16 });
  const source = syntheticWeights(config, 1);

  test("has every tensor of the layout, and any row of it alone", async () => {
    for (const [name, { dims }] of modelLayout(config)) expect(source.dims(name)).toEqual(dims);
    const name = "model.transformer.blocks.1.ff_proj.weight";
    const whole = await source.read(name);
    expect(await source.readRows(name, 5, 3)).toEqual(whole.slice(5 * 256, 8 * 256));
    expect(await syntheticWeights(config, 2).read(name)).not.toEqual(whole);
    expect(await source.read("model.transformer.blocks.0.ff_proj.weight")).not.toEqual(whole);
  });

  test("has numbers of a plausible scale", async () => {
    const deviation = (values: Float32Array) =>
      Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    expect(deviation(await source.read("model.transformer.blocks.0.q_proj.weight"))).toBeCloseTo(1 / 16, 3);
    expect(deviation(await source.read("model.transformer.blocks.0.attn_out.weight"))).toBeCloseTo(1 / 32, 3);
    const norm = await source.read("model.transformer.ln_f.weight");
    expect(norm.reduce((a, b) => a + b, 0) / norm.length).toBeCloseTo(1, 1);
  });
});

test("limits: what is within them holds, and one that is not is an exit code", () => {
  const run: RunFigures = {
    part: "draw",
    rate: 1,
    loadSeconds: 1,
    loadedBytes: 4.1e9,
    residentLoaded: 4.3e9,
    peak: 8 * 2 ** 30,
    seconds: {},
    check: null,
    graphs: [],
  };
  const found = limits({ seconds: 1, bytes: 1, peak: 7 * 2 ** 30 }, [run]);
  expect(found.map(({ holds }) => holds)).toEqual([false, true, false, true]);
  expect(limitLines(found)[2]).toBe("FAILS  memory that loading took: 4.30 GB of at most 4.20 GB");
  expect(fullsizeExit({ limits: found })).toBe(1);
  expect(fullsizeExit({ limits: limits(null, [{ ...run, residentLoaded: 4e9 }]) })).toBe(0);
  // Where memory cannot be read, what is counted is still checked.
  expect(limits(null, [{ ...run, residentLoaded: null, peak: null }])).toHaveLength(1);
  expect(limits(null, [{ ...run, part: "understand" }])).toEqual([]);
});

test.each([["--scale", "3"], ["--layers", "5"], ["--size", "100"], ["--parts", "vision"], ["--stage", "train"]])(
  "%s %s is refused",
  async (...args) => {
    const { code, stdout } = await collect(fullsizeCommand, [...args, "--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "flag_unknown_value", param: args[0].slice(2) } });
  },
);
