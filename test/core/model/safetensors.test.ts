import { expect, test } from "vitest";
import { memorySource } from "../../../core/model/byte_source.ts";
import { Safetensors } from "../../../core/model/safetensors.ts";
import { encode, floats, withHeader } from "./safetensors_bytes.ts";

const openBytes = (bytes: Uint8Array) => Safetensors.open(memorySource(bytes, "a.safetensors"));

test("fp32, fp16 and bf16 as fp32, rows and integers", async () => {
  const file = await openBytes(encode({
    single: floats(1.5, -2, 3.25, 4),
    half: { dtype: "F16", shape: [2], data: new Uint8Array(Uint16Array.of(0x3e00, 0xc000).buffer) },
    brain: { dtype: "BF16", shape: [2], data: new Uint8Array(Uint16Array.of(0x3fc0, 0xc000).buffer) },
    rows: { ...floats(1, 2, 3, 4, 5, 6), shape: [3, 2] },
    ids: { dtype: "I32", shape: [2], data: new Uint8Array(Int32Array.of(7, -8).buffer) },
  }));
  expect(await file.readFloat("single")).toEqual(Float32Array.of(1.5, -2, 3.25, 4));
  expect(await file.readFloat("half")).toEqual(Float32Array.of(1.5, -2));
  expect(await file.readFloat("brain")).toEqual(Float32Array.of(1.5, -2));
  expect(await file.readRows("rows", 1, 2)).toEqual(Float32Array.of(3, 4, 5, 6));
  expect(await file.readInteger("ids")).toEqual(Int32Array.of(7, -8));
  await expect(file.readFloat("none")).rejects.toMatchObject({ code: "tensor_missing" });
  await expect(file.readFloat("ids")).rejects.toMatchObject({ code: "dtype_unsupported" });
  await expect(file.readRows("rows", 2, 2)).rejects.toThrow("has 3 rows");
});

const four = floats(1);
test.each<[string, Uint8Array, string, string]>([
  ["a file of 3 bytes", new Uint8Array(3), "safetensors_invalid", "it has 3 bytes"],
  ["a header beyond the bound", withHeader("{}", [], 100_000_001), "safetensors_invalid", "at most 100000000"],
  ["a header beyond the file", withHeader("{}", [], 99), "safetensors_invalid", "header ends at byte 107"],
  ["a header that is not JSON", withHeader("{..."), "safetensors_invalid", "not JSON"],
  ["an entry without shape", withHeader('{"w":{"dtype":"F32"}}'), "safetensors_invalid", "w.shape"],
  [
    "an unknown dtype",
    encode({ w: { ...four, dtype: "F8_E4M3" } }),
    "dtype_unsupported",
    "tensor w has dtype F8_E4M3",
  ],
  ["a shape that needs more", encode({ w: { ...four, shape: [2] } }), "safetensors_invalid", "needs 8 bytes"],
  ["offsets beyond the file", encode({ w: { ...four, data_offsets: [4, 8] } }), "safetensors_invalid", "truncated"],
  [
    "overlapping tensors",
    encode({ v: four, w: { ...four, data_offsets: [0, 4] } }),
    "safetensors_invalid",
    "tensors v and w overlap",
  ],
])("%s is refused", async (_, bytes, code, words) => {
  const error = await openBytes(bytes).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
  expect(error).toMatchObject({ message: expect.stringContaining("a.safetensors") });
});
