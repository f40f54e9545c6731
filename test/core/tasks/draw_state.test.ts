import { expect, test } from "vitest";
import { createDraw } from "../../../core/tasks/draw.ts";
import { decodeDrawState, encodeDrawState } from "../../../core/tasks/draw_state.ts";
import { decodeSequence, encodeSequence, maskedSequence, reveal } from "../../../core/tasks/sequence.ts";
import { fakeModel } from "./fake_model.ts";

const state = createDraw().start({ prompt: "ein Häuschen 🏠", seed: 2 ** 53 - 1 }, fakeModel());
const unreadable = expect.objectContaining({ code: "state_unreadable" });

test("text sequences carry ids of 32 bits, picture sequences of 16", () => {
  for (const [kind, id] of [["text", 126_348], ["vq", 8191]] as const) {
    const sequence = reveal(maskedSequence(kind, 5, kind === "text" ? 126_336 : 8193), {
      step: 300,
      positions: Uint32Array.of(3, 0),
      ids: Uint32Array.of(id, 7),
    });
    const bytes = encodeSequence(sequence);
    expect(bytes.length).toBe(12 + 5 * (kind === "text" ? 6 : 4));
    expect(decodeSequence(bytes)).toEqual(sequence);
  }
});

test("a 1024 px sequence takes 16 KiB", () => {
  expect(encodeSequence(maskedSequence("vq", 4096, 8193)).length).toBe(16 * 1024 + 12);
});

test("the bytes of a state do not depend on where they lie in memory", () => {
  const bytes = encodeDrawState(state);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  expect(decodeDrawState(shifted.subarray(3))).toEqual(state);
  expect(bytes.length).toBeLessThan(1500);
});

test("cut, foreign and inconsistent bytes are refused", () => {
  const bytes = encodeDrawState(state);
  for (const length of [0, 3, 4, 100, bytes.length - 1]) {
    expect(() => decodeDrawState(bytes.slice(0, length)), `cut at ${length}`).toThrow(unreadable);
  }
  expect(() => decodeDrawState(Uint8Array.from([...bytes, 0]))).toThrow(unreadable);
  const [count = 0, ...counts] = state.counts;
  expect(() => decodeDrawState(encodeDrawState({ ...state, counts: [count + 1, ...counts] }))).toThrow(unreadable);
  expect(() => decodeDrawState(encodeDrawState({ ...state, settings: { ...state.settings, seed: -1 } }))).toThrow(
    unreadable,
  );
  const early = reveal(state.sequence, { step: 2, positions: Uint32Array.of(0), ids: Uint32Array.of(1) });
  expect(() => decodeDrawState(encodeDrawState({ ...state, counts: [63], step: 1, sequence: early }))).toThrow(
    unreadable,
  );
  const half = encodeSequence(state.sequence);
  half[half.length - 1] = 1;
  expect(() => decodeSequence(half)).toThrow(unreadable);
});
