/**
 * Makes the copy of the parity folder that a clone's tests need:
 * `deno run --allow-read --allow-write test/parity/trim.ts FROM`.
 * It leaves out tensors that others pin too: whole logits beside their columns and top values, a second case's
 * intermediates.
 */
import { readFileSync, writeFileSync } from "node:fs";

/** Case files that are copied, each with the tensors that are left out. */
const CASES: Readonly<Record<string, RegExp>> = {
  weights: /^$/,
  vq: /^256x128\/encoder/,
  t2i_forward: /\.full$|^g16x16\/ln_f$/,
};
const CONFIGURATIONS = ["config.json", "vqvae_config.json", "vision_config.json"];

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

function trimTensors(bytes: Uint8Array, dropped: RegExp): Uint8Array[] {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header: Record<string, Entry> = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const kept: Record<string, Entry> = {};
  const data: Uint8Array[] = [];
  let offset = 0;
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__" || dropped.test(name)) continue;
    const [begin, end] = entry.data_offsets;
    data.push(bytes.subarray(8 + length + begin, 8 + length + end));
    kept[name] = { ...entry, data_offsets: [offset, offset + end - begin] };
    offset += end - begin;
  }
  const text = JSON.stringify(kept);
  const head = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8)); // data starts aligned
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(head.byteLength), true);
  return [prefix, head, ...data];
}

const [from] = Deno.args;
if (from === undefined) throw new Error("usage: trim.ts FROM");
const to = new URL(".", import.meta.url);
for (const name of CONFIGURATIONS) writeFileSync(new URL(name, to), readFileSync(`${from}/${name}`));
for (const [name, dropped] of Object.entries(CASES)) {
  const parts = trimTensors(readFileSync(`${from}/${name}.safetensors`), dropped);
  writeFileSync(new URL(`${name}.safetensors`, to), concat(parts));
  writeFileSync(new URL(`${name}.json`, to), readFileSync(`${from}/${name}.json`));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.byteLength;
  }
  return result;
}
