/**
 * Boxes on a picture into a file, and which colour is whose.
 *
 * @module
 */
import type { encodePicture } from "../../core/image/codec.ts";
import { type LabelledBox, overlayBoxes } from "../../core/image/overlay.ts";
import type { Picture } from "../../core/model/types.ts";
import type { Output } from "./command.ts";
import { type OutputFile, writePicture } from "./output_file.ts";

/** @throws {UnmaskError} `codec_unavailable`, `output_not_writable` */
export async function writeOverlay(
  { stderr }: Output,
  file: OutputFile,
  picture: Picture,
  boxes: readonly LabelledBox[],
  encode: typeof encodePicture,
): Promise<void> {
  const overlay = await overlayBoxes(picture, boxes);
  await writePicture(file, overlay.picture, encode);
  const legend = [...overlay.colors].map(([label, color]) => `${label} ${color}`).join(", ");
  stderr(`${file.out}: ${legend === "" ? "no box" : legend}\n`);
}
