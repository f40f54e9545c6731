import { expect, test } from "vitest";
import { giveUp } from "../../../core/model/give_up.ts";

test("an array's memory is given back, whatever its type", () => {
  const floats = new Float32Array(4), bytes = new Uint8Array(16);
  giveUp(floats);
  giveUp(bytes);
  expect([floats.byteLength, bytes.byteLength]).toEqual([0, 0]);
});

test("what shares a buffer with others is left alone", () => {
  const buffer = new ArrayBuffer(16);
  const part = new Uint8Array(buffer, 0, 8);
  giveUp(part);
  expect([part.byteLength, buffer.byteLength]).toEqual([8, 16]);
  const shared = new Uint8Array(new SharedArrayBuffer(16));
  giveUp(shared);
  expect(shared.byteLength).toBe(16);
});
