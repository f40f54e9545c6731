/**
 * `deno task sheets`: what the embedded model does, a sheet a task, drawn by the runtime into docs/sheets/, with the
 * words that belong to each picture in docs/sheets.md. One seed, and its first cases: nothing is picked by hand.
 *
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises";
import { createJudge } from "../bench/scenes/judge.ts";
import { loadWorld } from "../bench/scenes/world.ts";
import { encodePicture } from "../core/image/codec.ts";
import { openInference } from "../core/tasks/remote.ts";
import { sheetOf } from "./sheet.ts";
import { type Cell, SHEETS, type Studio } from "./sheets.ts";

const SEED = 7;

/** Pictures by the names of their files, and the page that shows them. */
export async function makeSheets(
  studio: Studio,
  tell: (line: string) => void,
): Promise<{ readonly pictures: ReadonlyMap<string, Uint8Array>; readonly page: string }> {
  const { tasks, model } = studio.inference.info;
  const pictures = new Map<string, Uint8Array>(), sections: string[] = [];
  for (const { name, needs, columns, cells } of SHEETS) {
    if (!tasks.includes(needs)) {
      sections.push(`## ${name}\n\nNone: ${model} was not trained for the task ${needs}.`);
      tell(`${name}: none, ${model} was not trained for it`);
      continue;
    }
    const made = await cells(studio);
    pictures.set(`${name}.png`, await encodePicture(sheetOf(made.map(({ picture }) => picture), columns), "png"));
    sections.push(`## ${name}\n\n![${name}](sheets/${name}.png)\n\n${listOf(made, columns)}`);
    tell(`${name}: ${made.length} pictures`);
  }
  const head = `# What ${model} does\n\nThe first cases of seed ${studio.seed}, made by \`deno task sheets\`.`;
  return { pictures, page: `${[head, ...sections].join("\n\n")}\n` };
}

/** A row of the sheet is a row of the list. */
function listOf(cells: readonly Cell[], columns: number): string {
  return cells.map(({ words }, i) => `- ${Math.floor(i / columns) + 1}.${i % columns + 1} ${escaped(words)}`).join(
    "\n",
  );
}

/** A model may say anything: it shall not become markup. */
function escaped(words: string): string {
  return words.replace(/\s+/g, " ").replace(/[\\`*_<>[\]#|]/g, "\\$&");
}

if (import.meta.main) {
  const world = await loadWorld();
  const inference = await openInference({ modelFolder: "models/scenes" });
  try {
    const studio = { world, judge: createJudge(world), inference, seed: SEED };
    const { pictures, page } = await makeSheets(studio, (line) => console.error(line));
    const folder = new URL("./sheets/", import.meta.url);
    await mkdir(folder, { recursive: true });
    for (const [name, bytes] of pictures) await writeFile(new URL(name, folder), bytes);
    await writeFile(new URL("./sheets.md", import.meta.url), page);
  } finally {
    await inference.close();
  }
}
