/**
 * `deno task picture`: README's picture, drawn by the runtime. One seed for all prompts and the first draw of each:
 * nothing is picked by hand.
 *
 * @module
 */
import { encodePicture } from "../core/image/codec.ts";
import type { Picture } from "../core/model/types.ts";
import { openInference } from "../core/tasks/remote.ts";
import { sheetOf } from "./sheet.ts";

/** In reading order; README lists them under the picture. */
export const PROMPTS = [
  "a photo of a zebra",
  "a photo of four donuts",
  "a photo of a yellow elephant",
  "a photo of a couch and a wine glass",
  "a photo of a bus above a boat",
  "a photo of a sports ball left of an umbrella",
  "a photo of a red umbrella and a blue couch",
  "a photo of a red car and a blue dog",
];
const SEED = 7;
const COLUMNS = 4;

if (import.meta.main) {
  const inference = await openInference({ modelFolder: "models/scenes" });
  try {
    const pictures: Picture[] = [];
    for (const prompt of PROMPTS) {
      const { picture, seconds } = await inference.draw({ prompt, seed: SEED });
      pictures.push(picture);
      console.error(`${prompt}: ${seconds.toFixed(2)} s`);
    }
    const sheet = sheetOf(pictures, COLUMNS);
    await Deno.writeFile(new URL("./picture.png", import.meta.url), await encodePicture(sheet, "png"));
  } finally {
    await inference.close();
  }
}
