/**
 * Memory that is given back at once: weights are large, and a garbage collector may be a long time in coming.
 *
 * @module
 */

/** Empties an array that nobody will read again. One that shares its buffer with others is left alone. */
export function giveUp({ buffer, byteLength }: ArrayBufferView): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
