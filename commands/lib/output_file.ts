/**
 * Pictures into files that a user names: the extension says the format, and what cannot be written is refused before
 * seconds of work.
 *
 * @module
 */
import { dirname } from "node:path";
import { UnmaskError } from "../../core/errors.ts";
import type { encodePicture, OutputFormat } from "../../core/image/codec.ts";
import type { Picture } from "../../core/model/types.ts";

const FORMATS: Readonly<Record<string, OutputFormat>> = { png: "png", jpg: "jpeg", jpeg: "jpeg", webp: "webp" };

/** Quality of a lossy file, 0-100. */
const LOSSY_QUALITY = 95;

export interface OutputFile {
  readonly out: string;
  readonly format: OutputFormat;
}

/** @throws {UnmaskError} `output_format_unsupported`, `output_not_writable`: its folder is not there */
export async function outputFile(out: string): Promise<OutputFile> {
  const format = formatOf(out);
  await refuseFolder(out);
  return { out, format };
}

/** @throws {UnmaskError} `output_not_writable`, what the encoder throws */
export async function writePicture(
  { out, format }: OutputFile,
  picture: Picture,
  encode: typeof encodePicture,
): Promise<void> {
  const bytes = await encode(picture, format, format === "png" ? undefined : LOSSY_QUALITY);
  try {
    await Deno.writeFile(out, bytes);
  } catch (cause) {
    throw notWritable(out, cause);
  }
}

function formatOf(out: string): OutputFormat {
  const extension = /\.([^./\\]+)$/.exec(out)?.[1]?.toLowerCase() ?? "";
  const format = Object.hasOwn(FORMATS, extension) ? FORMATS[extension] : undefined;
  if (format !== undefined) return format;
  throw new UnmaskError({
    code: "output_format_unsupported",
    message: "the name of the file does not say which format it has",
    fix: "end it in .png, .jpg or .webp",
    param: "out",
  });
}

/** Before the work, not after it: a wrong folder shall not cost the time of a picture. */
async function refuseFolder(out: string): Promise<void> {
  const folder = await Deno.stat(dirname(out)).catch(() => undefined);
  if (folder?.isDirectory !== true) throw notWritable(out);
}

function notWritable(out: string, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "output_not_writable",
    message: `${out} cannot be written`,
    fix: "name a file in a folder that exists and that you may write to",
    param: "out",
    cause,
  });
}
