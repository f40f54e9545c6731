/**
 * Names that come from a downloaded file must not lead out of its folder.
 *
 * @module
 */

/** Letters, digits, `_`, `-` and `.`, not first: no separator, no parent, no drive, no stream, no control character. */
export function isPlainName(name: string): boolean {
  return /^[\w-][\w.-]*$/.test(name) && name.length <= 255;
}
