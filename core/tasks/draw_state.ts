/**
 * The state of a draw: everything that must survive, as data and as bytes.
 *
 * @module
 */
import { z } from "zod";
import { counts as schedule } from "../diffusion/schedule.ts";
import { UnmaskError } from "../errors.ts";
import { decodeSequence, encodeSequence, maskedPositions, reveal, unreadableState } from "./sequence.ts";
import { drawChoice } from "./draw_input.ts";
import type { Delta, Sequence } from "./task.ts";

const settingsSchema = drawChoice.extend({
  /** As the model sees it. */
  prompt: z.string(),
  seed: z.int().min(0),
  /** As the model reads it; absent: none. */
  plan: z.string().exactOptional(),
});

/** Every option as it is really used; `steps` is the number of steps that the run began with. */
export type DrawSettings = Readonly<z.infer<typeof settingsSchema>>;

export interface DrawState {
  readonly settings: DrawSettings;
  /** Steps done. */
  readonly step: number;
  /** Positions to reveal in each step to come; their sum is the number of masked positions. */
  readonly counts: readonly number[];
  /** VQ ids of a square grid, row-major. */
  readonly sequence: Sequence;
}

const VERSION = 1;

const headSchema = z.object({
  version: z.literal(VERSION),
  settings: settingsSchema,
  step: z.int().min(0).max(65_535),
  counts: z.array(z.int().min(0)),
});

/** Pure. @throws {RangeError} for a delta of another step or size */
export function foldDraw(state: DrawState, delta: Delta): DrawState {
  const [count, ...counts] = state.counts;
  if (delta.step !== state.step + 1 || delta.positions.length !== count || delta.ids.length !== count) {
    throw new RangeError(`a delta of step ${delta.step} does not follow step ${state.step}`);
  }
  return { ...state, step: delta.step, counts, sequence: reveal(state.sequence, delta) };
}

/**
 * A drawing not begun that takes over `ids` everywhere but in `region`, all of it in its step 1, whatever steps they came
 * from; the region's steps follow, by the settings' own schedule.
 *
 * @throws {UnmaskError} `region_empty`
 */
export function takeOver(fresh: DrawState, ids: Uint16Array | Uint32Array, region: Uint32Array): DrawState {
  const inside = new Set(region);
  if (inside.size === 0 || [...inside].some((position) => position >= ids.length)) {
    throw new UnmaskError({
      code: "region_empty",
      message: "the region holds no position of the picture",
      fix: "give boxes, or a mask, that lie within the picture",
      param: "boxes",
    });
  }
  const { kind, maskId } = fresh.sequence;
  const length = ids.length;
  const kept = Uint32Array.from({ length }, (_, position) => position).filter((position) => !inside.has(position));
  const empty: Sequence = { kind, maskId, ids: ids.slice().fill(maskId), revealedAt: new Uint16Array(length) };
  const sequence = reveal(empty, { step: 1, positions: kept, ids: kept.map((position) => ids[position] ?? 0) });
  return continued(fresh, sequence, 1, fresh.settings.steps);
}

/** `steps` more steps after `step`, by the settings' own schedule; their number becomes that of the whole run. */
export function continued({ settings }: DrawState, sequence: Sequence, step: number, steps: number): DrawState {
  const masked = maskedPositions(sequence).length;
  const counts = steps === 0 ? [] : schedule(masked, steps, settings.schedule, settings.shift);
  return { settings: { ...settings, steps: step + counts.length }, step, counts, sequence };
}

/** [u32 length of JSON][JSON][sequence], about 1.7 KiB at 256 px and 17 KiB at 1024. */
export function encodeDrawState(state: DrawState): Uint8Array {
  const { settings, step, counts, sequence } = state;
  const head = new TextEncoder().encode(JSON.stringify({ version: VERSION, settings, step, counts }));
  const tail = encodeSequence(sequence);
  const bytes = new Uint8Array(4 + head.length + tail.length);
  new DataView(bytes.buffer).setUint32(0, head.length, true);
  bytes.set(head, 4);
  bytes.set(tail, 4 + head.length);
  return bytes;
}

/** @throws {UnmaskError} `state_unreadable` (500) */
export function decodeDrawState(bytes: Uint8Array): DrawState {
  if (bytes.length < 4) throw unreadableState("it is cut off");
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
  if (length > bytes.length - 4) throw unreadableState("it is cut off");
  const head = parseHead(bytes.subarray(4, 4 + length));
  const sequence = decodeSequence(bytes.subarray(4 + length));
  const { settings, step, counts } = head;
  if (counts.reduce((sum, count) => sum + count, 0) !== maskedPositions(sequence).length) {
    throw unreadableState("its steps do not add up to its masked positions");
  }
  if (sequence.revealedAt.some((at) => at > step)) throw unreadableState("it holds a later step than its own");
  return { settings, step, counts, sequence };
}

function parseHead(bytes: Uint8Array): z.infer<typeof headSchema> {
  try {
    return headSchema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw unreadableState("its settings are broken or of another version", cause);
  }
}
