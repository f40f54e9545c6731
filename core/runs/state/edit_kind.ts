/**
 * An edit as a run: its state as bytes, and its fork, regional redraw and budget, which are those of the picture that it
 * draws.
 *
 * @module
 */
import { z } from "zod";
import { createEdit, type EditDelta, type EditInput, editInput, type EditState } from "../../tasks/edit.ts";
import { decodeDrawState, type DrawState, encodeDrawState } from "../../tasks/draw_state.ts";
import { unreadableState } from "../../tasks/sequence.ts";
import { parseInput } from "../../tasks/task_input.ts";
import { drawKind } from "./draw_kind.ts";
import { budgetOf, type Kind, type PictureKind, pictureOf } from "./kind.ts";
import { DETACHED, pack, partAt, pictureFrom, sizeOf, sizeSchema, unpack } from "./packed.ts";

const headSchema = z.object({
  picture: sizeSchema,
  mode: z.literal([0, 1, 2, 3]),
  imageGuidance: z.number(),
  plan: z.string().nullable(),
  region: z.array(z.int().min(0)).nullable(),
  encoded: z.boolean(),
});

const task = createEdit();
const drawn = pictureOf(drawKind) as PictureKind<DrawState>;

const picture: PictureKind<EditState> = {
  sequence: ({ draw }) => draw.sequence,
  settings: ({ draw }) => drawn.settings(draw),
  budget: {
    counts: ({ draw }) => draw.counts,
    withCounts: (state, counts) => ({ ...state, draw: budgetOf(drawKind).withCounts(state.draw, counts) as DrawState }),
  },
  fork: (fresh, parent, step) => ({ ...beside(fresh, parent), draw: drawn.fork(fresh.draw, parent.draw, step) }),
  redraw: (fresh, parent, positions) => ({
    ...beside(fresh, parent),
    draw: drawn.redraw(fresh.draw, parent.draw, positions),
  }),
};

export const editKind: Kind<EditInput, EditState> = {
  name: task.name,
  parse: (input) => parseInput(editInput, input, "an edit"),
  encode: ({ picture, source, draw, region, ...rest }) =>
    pack(
      { ...rest, region: region === null ? null : [...region], picture: sizeOf(picture), encoded: source !== null },
      [
        encodeDrawState(draw),
        picture.data,
        ...(source === null ? [] : [bytesOf(source)]),
      ],
    ),
  decode: (bytes) => {
    const { head: { encoded, ...rest }, parts } = unpack(bytes, headSchema);
    return {
      ...rest,
      region: rest.region === null ? null : Uint32Array.from(rest.region),
      picture: pictureFrom(rest.picture, partAt(parts, 1)),
      source: encoded ? idsOf(partAt(parts, 2)) : null,
      draw: decodeDrawState(partAt(parts, 0)),
    };
  },
  files: ["picture", "mask"],
  detach: (state) => ({ ...state, picture: DETACHED }),
  attach: (state, { picture }) => ({ ...state, picture }),
  fold: (state, delta) => task.fold(state, delta as EditDelta),
  done: task.done,
  progress: ({ draw }) => drawKind.progress(draw),
  tokens: ({ draw }) => drawKind.tokens(draw),
  picture,
};

/** Of the same picture the ids are known already; another one is encoded in the first step. */
function beside(fresh: EditState, { picture, source }: EditState): EditState {
  const { width, height, data } = fresh.picture;
  const same = width === picture.width && height === picture.height &&
    data.every((value, i) => value === picture.data[i]);
  return { ...fresh, source: same ? source : null };
}

/** Little-endian, whatever the machine. */
function bytesOf(ids: Uint16Array): Uint8Array {
  const bytes = new Uint8Array(ids.length * 2);
  const view = new DataView(bytes.buffer);
  ids.forEach((id, i) => view.setUint16(i * 2, id, true));
  return bytes;
}

function idsOf(bytes: Uint8Array): Uint16Array {
  if (bytes.length % 2 !== 0) throw unreadableState("its source ids are cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(i * 2, true));
}
