/**
 * The judge for Python: `deno run --allow-read bench/scenes/judge_cli.ts FOLDER`, where FOLDER holds `pictures.u8` (raw
 * uint8 [n, 256, 256, 3]) and `metadata.jsonl` (n lines of GenEval's metadata). Prints one line of JSON:
 * `{mean, kinds, strict, strict_kinds, n, results: [{correct, strict, reason, things: [[cls, color, size, x, y]]}]}`.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { createJudge } from "./judge.ts";
import type { Metadata } from "./prompt.ts";
import { summarise } from "./score.ts";
import { loadWorld } from "./world.ts";

const [folder] = Deno.args;
if (folder === undefined) throw new Error("usage: judge_cli.ts FOLDER");
const world = await loadWorld();
const { judge, see } = createJudge(world);
const side = world.data.canvas, bytes = side * side * 3;
const pictures = await readFile(`${folder}/pictures.u8`);
const lines = (await readFile(`${folder}/metadata.jsonl`, "utf8")).trim().split("\n");
if (pictures.length !== lines.length * bytes) throw new Error("pictures.u8 does not fit metadata.jsonl");
const judged = lines.map((line, index) => {
  const metadata: Metadata = JSON.parse(line);
  const picture = { width: side, height: side, data: pictures.subarray(index * bytes, (index + 1) * bytes) };
  const things = see(picture).detections.map(({ cls, color, size, x, y }) => [cls, color, size, x, y]);
  return { tag: metadata.tag, verdict: judge(picture, metadata), things };
});
console.log(
  JSON.stringify({ ...summarise(judged), results: judged.map(({ verdict, things }) => ({ ...verdict, things })) }),
);
