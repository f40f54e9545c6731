/**
 * What a model folder was trained for, as its weights tell: a part that is missing or all zeros was not, and would answer
 * nonsense with a straight face.
 *
 * @module
 */
import { TOKENS } from "./chat_template.ts";
import { isStoredFolder, openStoredFolder } from "./convert/stored_folder.ts";
import { type ModelFolder, openFolder } from "./folder.ts";
import type { Tokenizer } from "./types.ts";

export interface Abilities {
  /** The text side of the last layer and the LM head. */
  readonly words: boolean;
  /** The vision tower and its projector. */
  readonly sight: boolean;
}

/** Reads headers and a few rows. @throws {UnmaskError} what `openFolder` and `openStoredFolder` throw */
export async function abilitiesOf(folder: string, tokenizer: Tokenizer): Promise<Abilities> {
  if (await isStoredFolder(folder)) {
    // Converted from such weights as were there: the manifest says which.
    const { manifest: { parts }, config, close } = await openStoredFolder(folder);
    await close();
    const words = parts.includes("understand");
    return { words, sight: words && config.vision !== undefined };
  }
  const opened = await openFolder(folder, []);
  try {
    return {
      words: opened.parts.has("head") && await trained(opened, [
        ["model.transformer.ff_out.weight", tokenizer.id(TOKENS.endOfTurn)],
        [`model.transformer.blocks.${opened.config.layers - 1}.ff_out.weight`, 0],
      ]),
      sight: opened.parts.has("vision") && await trained(opened, [["model.mm_projector.0.weight", 0]]),
    };
  } finally {
    await opened.close();
  }
}

/** Whether each of these rows holds anything but zeros. */
async function trained(
  { weights }: ModelFolder,
  rows: readonly (readonly [name: string, row: number])[],
): Promise<boolean> {
  for (const [name, row] of rows) {
    if ((await weights.readRows(name, row, 1)).every((value) => value === 0)) return false;
  }
  return true;
}
