import { describe, expect, it } from "vitest";
import { createJudge } from "../../../bench/scenes/judge.ts";
import { parsePrompt } from "../../../bench/scenes/prompt.ts";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld, type Scene } from "../../../bench/scenes/world.ts";

type Numbers = [number, number, number, number, number];
type Row = [prompt: string, ground: number, things: Numbers[], due: [boolean, boolean], sha256: string];

const world = await loadWorld();
const rows: Row[] = JSON.parse(
  await Deno.readTextFile(new URL("../../fixtures/scenes_judged.json", import.meta.url)),
);
const scenes = rows.map(([, ground, things]): Scene => ({
  ground,
  things: things.map(([cls, color, size, x, y]) => ({ cls, color, size, x, y })),
}));

/** The file's hashes are the first 16 digits. */
async function hash(data: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data.slice()));
  return [...digest.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

describe("1,000 scenes of the Python twin", () => {
  it("are rendered to the same bytes", async () => {
    const hashes = await Promise.all(scenes.map((scene) => hash(render(world, scene).data)));
    expect(hashes).toEqual(rows.map(([, , , , sha256]) => sha256));
  });

  it("are judged as is due", { timeout: 600_000 }, () => {
    const { judge } = createJudge(world);
    const wrong = rows.flatMap(([prompt, , , due], i) => {
      const { correct, strict, reason } = judge(render(world, scenes[i] as Scene), parsePrompt(world.data, prompt));
      return correct === due[0] && strict === due[1] ? [] : [{ prompt, i, due, reason }];
    });
    expect(rows).toHaveLength(1000);
    expect(wrong).toEqual([]);
  });
});
