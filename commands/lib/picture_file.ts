/**
 * Pictures that a user names, read and looked at before a model is loaded.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";
import { decodePicture } from "../../core/image/codec.ts";
import type { Picture } from "../../core/model/types.ts";

export interface PictureFile {
  /** As they lie in the file, which is how tasks take them. */
  readonly bytes: Uint8Array;
  readonly picture: Picture;
}

/** @throws {UnmaskError} `picture_missing`, `picture_not_readable`, what `decodePicture` throws */
export async function readPicture(path: string | undefined, usage: string): Promise<PictureFile> {
  if (path === undefined) {
    throw new UnmaskError({
      code: "picture_missing",
      message: "there is no picture to look at",
      fix: `name a file: ${usage}`,
      param: "picture",
    });
  }
  const bytes = await readFile(path, "picture");
  return { bytes, picture: await decodePicture(bytes) };
}

/** @throws {UnmaskError} `<param>_not_readable` */
export async function readFile(path: string, param: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    throw new UnmaskError({
      code: `${param}_not_readable`,
      message: `${path} cannot be read`,
      fix: "name a file that is there and that you may read",
      param,
      cause,
    });
  }
}

/**
 * One sentence behind the picture; a second picture is no sentence.
 *
 * @throws {UnmaskError} `pictures_too_many`, `<what>_missing`, `<what>_not_quoted`
 */
export function oneSentence(words: readonly string[], what: string, usage: string): string {
  refusePictures(words, usage);
  const [sentence, ...more] = words;
  if (sentence !== undefined && more.length === 0) return sentence;
  throw new UnmaskError({
    code: sentence === undefined ? `${what}_missing` : `${what}_not_quoted`,
    message: sentence === undefined ? `there is no ${what}` : `the ${what} came in several arguments`,
    fix: `put it in quotes: ${usage}`,
    param: what,
  });
}

/** @throws {UnmaskError} `pictures_too_many` */
export function refusePictures(words: readonly string[], usage: string): void {
  if (!words.some((word) => /^\S+\.(png|jpe?g|webp)$/i.test(word))) return;
  throw new UnmaskError({
    code: "pictures_too_many",
    message: "there are two pictures where one is meant",
    fix: `name one: ${usage}`,
    param: "picture",
  });
}
