/**
 * The commands as a user types them, on the weights in models/scenes. Nothing here is skipped: a clone without weights
 * is broken and shall fail.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROMPT = "a photo of a red car and a blue dog";
let folder = "";
beforeAll(async () => void (folder = await Deno.makeTempDir()));
afterAll(() => Deno.remove(folder, { recursive: true }));

async function task(...args: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...args],
    cwd: ROOT,
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out ?? "", stderr: err ?? "" };
}

/** A run of `deno task draw` with 8 steps; its JSON and its file's bytes. */
async function drawn(name: string, ...flags: readonly string[]) {
  const out = `${folder}/${name}`;
  const { code, stdout, stderr } = await task("draw", PROMPT, "--steps", "8", "--out", out, "--json", ...flags);
  expect(code, stderr).toBe(0);
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  return { line: JSON.parse(stdout), bytes: await Deno.readFile(out), stderr };
}

describe("deno task draw", () => {
  it("draws the same bytes twice for one seed, and another picture for another", async () => {
    const first = await drawn("first.png", "--seed", "7");
    const again = await drawn("again.png", "--seed", "7");
    const other = await drawn("other.png", "--seed", "8");
    expect(first.line).toMatchObject({ prompt: PROMPT, width: 256, height: 256, seed: 7, steps: 8, model: "scenes" });
    expect(["webgpu", "cpu", "wasm"]).toContain(first.line.provider);
    expect(first.line.seconds).toBeGreaterThan(0);
    expect([...first.bytes.subarray(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);
    expect(again.bytes).toEqual(first.bytes);
    expect(other.bytes).not.toEqual(first.bytes);
    expect(first.stderr).toContain("8/8");
  });

  it("draws without a seed and says which it took, so that the picture can be drawn again", async () => {
    const first = await drawn("first.png");
    const again = await drawn("again.png", "--seed", String(first.line.seed));
    expect(again.bytes).toEqual(first.bytes);
  });

  it("writes what the extension says", async () => {
    const { bytes } = await drawn("a.jpg", "--seed", "1");
    expect([...bytes.subarray(0, 3)]).toEqual([0xff, 0xd8, 0xff]);
  });

  it.each<[string, readonly string[], string]>([
    ["a word that it does not know", ["a photo of a unicorn"], "unknown_words"],
    ["an empty prompt", [""], "prompt_empty"],
  ])("refuses %s with exit 2", async (_, args, code) => {
    const { code: exit, stdout } = await task("draw", ...args, "--out", `${folder}/refused.png`, "--json");
    expect([exit, JSON.parse(stdout).error.code]).toEqual([2, code]);
  });

  it("says that a folder holds no model", async () => {
    const result = await task("draw", PROMPT, "--model", folder, "--out", `${folder}/none.png`, "--json");
    expect(result.code).not.toBe(0);
    expect(JSON.parse(result.stdout).error.fix.length).toBeGreaterThan(5);
  });
});

describe("deno task doctor", () => {
  it("loads the shipped model with the permissions that it has", async () => {
    const { code, stdout, stderr } = await task("doctor", "--json");
    expect(code, stderr).toBe(0);
    const { auto, graphs } = JSON.parse(stdout);
    expect(graphs.map(({ graph, provider }: { graph: string; provider: string }) => [graph, provider])).toEqual(
      ["prompt", "draw_prefix", "vq_decode"].map((graph) => [graph, auto.provider]),
    );
  });
});

describe("deno task start", () => {
  it("serves, draws, and stops on SIGTERM", async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "start", "--port", "0", "--json"],
      cwd: ROOT,
      stdout: "piped",
      stderr: "null",
    }).spawn();
    try {
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let line = "";
      while (!line.includes("\n")) {
        const { done, value } = await reader.read();
        if (done) break;
        line += value;
      }
      const { url } = JSON.parse(line);
      const response = await fetch(`${url}/v1/images/generations`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: PROMPT, seed: 7, steps: 8 }),
      });
      const answer = await response.json();
      expect(response.status, JSON.stringify(answer)).toBe(200);
      const { bytes } = await drawn("same.png", "--seed", "7");
      // The door does not matter: the same seed is the same picture.
      expect(Uint8Array.fromBase64(answer.data[0].b64_json)).toEqual(bytes);
      expect(answer.usage.output_tokens).toBe(256);
      expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ ready: true, model: "scenes" });
    } finally {
      child.kill("SIGTERM");
    }
    expect((await child.status).code).toBe(0);
  });
});
