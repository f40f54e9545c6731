/**
 * The judge for Python: `deno run --allow-read bench/scenes/judge_cli.ts FOLDER`, where FOLDER holds `pictures.u8` (raw
 * uint8 [n, 256, 256, 3]) and `metadata.jsonl` (n lines). Prints one line of JSON.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { createDetector } from "./detect.ts";
import { judgeSight, type Metadata, summarise } from "./score.ts";
import { loadWorld } from "./world.ts";

const [folder] = Deno.args;
if (folder === undefined) throw new Error("usage: judge_cli.ts FOLDER");
const world = await loadWorld();
const detect = createDetector(world);
const side = world.data.canvas;
const pictures = await readFile(`${folder}/pictures.u8`);
const metadata: Metadata[] = (await readFile(`${folder}/metadata.jsonl`, "utf8")).trim().split("\n").map((line) =>
  JSON.parse(line)
);
const bytes = side * side * 3;
if (pictures.length !== metadata.length * bytes) throw new Error("pictures.u8 does not fit metadata.jsonl");
const results = metadata.map((record, index) => {
  const sight = detect({ width: side, height: side, data: pictures.subarray(index * bytes, (index + 1) * bytes) });
  return { tag: record.tag, verdict: judgeSight(world, sight, record) };
});
const { strictKinds, ...summary } = summarise(results);
console.log(JSON.stringify({ ...summary, strict_kinds: strictKinds, results: results.map(({ verdict }) => verdict) }));
