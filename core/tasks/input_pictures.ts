/**
 * Files of an input as pixels, here where the model is: whoever only hands an input on never unpacks one.
 *
 * @module
 */

/** Names of fields whose pictures are masks: light where they are transparent. */
const MASKS = ["mask"];

/** The input with each file's bytes as a picture. @throws {UnmaskError} what `decodePicture` and `decodeMask` throw */
export async function unpackPictures(input: unknown): Promise<unknown> {
  return hasFiles(input) ? await unpack(input, false) : input;
}

function hasFiles(value: unknown): boolean {
  if (value instanceof Uint8Array) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(hasFiles);
}

async function unpack(value: unknown, mask: boolean): Promise<unknown> {
  if (value instanceof Uint8Array) {
    // Loaded with the first picture: drawing needs no codec.
    const { decodeMask, decodePicture } = await import("../image/codec.ts");
    return await (mask ? decodeMask : decodePicture)(value);
  }
  if (Array.isArray(value)) return await Promise.all(value.map((item) => unpack(item, mask)));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(async ([name, item]) =>
    [name, await unpack(item, MASKS.includes(name))] as const
  );
  return Object.fromEntries(await Promise.all(entries));
}
