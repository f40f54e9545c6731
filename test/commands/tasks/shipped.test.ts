/**
 * The commands of tasks as a user types them, with their own permissions, on the weights in models/scenes: those that the
 * weights were trained for do their work, the others say that they cannot.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";
import { encodePicture } from "../../../core/image/codec.ts";
import { abilitiesOf } from "../../../core/model/abilities.ts";
import { createTokenizer } from "../../../core/model/tokenizer.ts";
import { type TaskName, tasksFor } from "../../../core/tasks/all_tasks.ts";
import { parseGenerationFile } from "../../../core/tasks/generation_file.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const MODEL = `${ROOT}models/scenes`;
const read = (name: string) => readFile(`${MODEL}/${name}`, "utf8");
const able = tasksFor(
  await abilitiesOf(MODEL, createTokenizer(await read("tokenizer.json"), await read("tokenizer_config.json"))),
  parseGenerationFile(JSON.parse(await read("generation.json"))).tasks,
);

let folder = "", picture = "";
beforeAll(async () => {
  folder = await Deno.makeTempDir();
  picture = `${folder}/scene.png`;
  const world = await loadWorld();
  const things = [{ cls: 14, color: 1, size: 128, x: 64, y: 64 }];
  await Deno.writeFile(picture, await encodePicture(render(world, { ground: 0, things }), "png"));
});
afterAll(() => Deno.remove(folder, { recursive: true }));

describe("deno task", () => {
  it.each<[string, TaskName, () => readonly string[]]>([
    ["ask", "answer", () => [picture, "What is this?"]],
    ["find", "ground", () => [picture, "the car", "--out", `${folder}/found.png`]],
    ["edit", "edit", () => [picture, "make the car blue", "--steps", "2", "--out", `${folder}/edited.png`]],
    ["plan", "plan", () => ["a photo of a car", "--out", `${folder}/plan.png`]],
    [
      "reflect",
      "reflect",
      () => ["a photo of a car", "--steps", "2", "--rounds", "1", "--out", `${folder}/reflected.png`],
    ],
  ])("%s", async (command, task, args) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", command, ...args(), "--json"],
      cwd: ROOT,
    }).output();
    const [line, told] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    const said = JSON.parse(line ?? "");
    if (able.includes(task)) {
      expect([code, said], told).toMatchObject([0, { model: "scenes" }]);
      expect(said.forwards).toBeGreaterThan(0);
    } else {
      expect([code, said], told).toMatchObject([2, { error: { code: "task_not_supported" } }]);
      expect(said.error.fix).toContain("draw");
    }
  });
});
