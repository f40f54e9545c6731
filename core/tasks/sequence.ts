/**
 * Sequences of token ids with the step of each reveal: made, revealed, cut back to an earlier step, and as bytes
 * (docs/design.md, "The one idea").
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { Delta, Sequence } from "./task.ts";

/** Bytes before the arrays: kind, three zeros, mask id, length; all little-endian. */
const HEADER_BYTES = 12;

/** `length` masked positions. */
export function maskedSequence(kind: Sequence["kind"], length: number, maskId: number): Sequence {
  const ids = kind === "vq" ? new Uint16Array(length) : new Uint32Array(length);
  return { kind, maskId, ids: ids.fill(maskId), revealedAt: new Uint16Array(length) };
}

/** Positions that are masked, ascending. */
export function maskedPositions(sequence: Sequence): Uint32Array {
  const positions = new Uint32Array(sequence.revealedAt.length);
  let count = 0;
  for (let i = 0; i < positions.length; i++) if (sequence.revealedAt[i] === 0) positions[count++] = i;
  return positions.subarray(0, count);
}

/**
 * A new sequence with the delta's positions revealed.
 *
 * @throws {RangeError} if a position is revealed already, or none of this sequence's
 */
export function reveal(sequence: Sequence, delta: Delta): Sequence {
  const ids = sequence.ids.slice();
  const revealedAt = sequence.revealedAt.slice();
  delta.positions.forEach((position, i) => {
    const id = delta.ids[i];
    if (revealedAt[position] !== 0 || id === undefined) {
      throw new RangeError(`step ${delta.step} reveals position ${position}, which is not masked here`);
    }
    ids[position] = id;
    revealedAt[position] = delta.step;
  });
  return { ...sequence, ids, revealedAt };
}

/** The sequence as it was after step `step`: later reveals are masked again. */
export function cutBack(sequence: Sequence, step: number): Sequence {
  const ids = sequence.ids.slice();
  const revealedAt = sequence.revealedAt.map((at, position) => {
    if (at <= step) return at;
    ids[position] = sequence.maskId;
    return 0;
  });
  return { ...sequence, ids, revealedAt };
}

/** 12 bytes + 4 a VQ position (6 a text position): 16 KiB at 1024 px. */
export function encodeSequence(sequence: Sequence): Uint8Array {
  const { kind, maskId, ids, revealedAt } = sequence;
  const width = ids.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(HEADER_BYTES + ids.length * (width + 2));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kind === "vq" ? 0 : 1);
  view.setUint32(4, maskId, true);
  view.setUint32(8, ids.length, true);
  let at = HEADER_BYTES;
  for (const id of ids) {
    if (width === 2) view.setUint16(at, id, true);
    else view.setUint32(at, id, true);
    at += width;
  }
  for (const step of revealedAt) {
    view.setUint16(at, step, true);
    at += 2;
  }
  return bytes;
}

/** @throws {UnmaskError} `state_unreadable` (500) */
export function decodeSequence(bytes: Uint8Array): Sequence {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || view.getUint8(0) > 1) {
    throw unreadableState("it does not begin as a sequence does");
  }
  const kind = view.getUint8(0) === 0 ? "vq" : "text";
  const maskId = view.getUint32(4, true);
  const length = view.getUint32(8, true);
  const width = kind === "vq" ? 2 : 4;
  if (bytes.length !== HEADER_BYTES + length * (width + 2)) throw unreadableState("a sequence has another length");
  const { ids, revealedAt } = maskedSequence(kind, length, maskId);
  for (let i = 0; i < length; i++) {
    const at = HEADER_BYTES + i * width;
    ids[i] = width === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
    revealedAt[i] = view.getUint16(HEADER_BYTES + length * width + i * 2, true);
    if ((revealedAt[i] === 0) !== (ids[i] === maskId)) throw unreadableState(`position ${i} is half revealed`);
  }
  return { kind, maskId, ids, revealedAt };
}

/** The error of a saved state that cannot be used. */
export function unreadableState(problem: string, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "state_unreadable",
    message: `the saved state cannot be read: ${problem}`,
    fix: "start the run again; report it if this version wrote it",
    status: 500,
    cause,
  });
}
