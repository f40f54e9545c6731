/**
 * Makes the copy of the parity folder that a clone's tests need:
 * `deno run --allow-read --allow-write test/parity/trim.ts FROM`.
 * It leaves out tensors that others pin too: whole logits beside their columns and top values, a second case's
 * intermediates.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

interface Trim {
  /** Tensors that are left out. */
  readonly tensors: RegExp;
  /** Cases that are left out, tensors and all. */
  readonly cases?: RegExp;
}

const NOTHING = /^$/;

/** Files that are copied. */
const FILES: Readonly<Record<string, Trim>> = {
  weights: { tensors: NOTHING },
  schedule: { tensors: NOTHING },
  prompts: { tensors: NOTHING },
  vq: { tensors: /^256x128\/encoder/ },
  t2i_forward: { tensors: /\.full$|^g16x16\/ln_f$/ },
  image_preprocess: { tensors: /pixels_view1|hidden[12]_view1|^(480x640|336x336)\/view_coarse/ },
  text_forward: { tensors: /full_first|^image\/(cache|.*block|nocache)|block[124]/ },
  text_decode: { tensors: /\/gap$/ },
  grounding: { tensors: NOTHING, cases: /^one_square$/ },
  t2i_loop: { tensors: /columns|gap$|pixels/, cases: /^(full_1024|multinomial)$/ },
  edit_loop: { tensors: /columns|gap$|pixels/, cases: /^mode3$/ },
};
const CONFIGURATIONS = ["config.json", "vqvae_config.json", "vision_config.json"];

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

function trimTensors(bytes: Uint8Array, dropped: (name: string) => boolean): Uint8Array[] {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header: Record<string, Entry> = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const kept: Record<string, Entry> = {};
  const data: Uint8Array[] = [];
  let offset = 0;
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__" || dropped(name)) continue;
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
for (const [name, { tensors, cases }] of Object.entries(FILES)) {
  const ofCase = (text: string) => cases?.test(text) ?? false;
  const json = JSON.parse(readFileSync(`${from}/${name}.json`, "utf8"));
  if (cases !== undefined) {
    json.cases = Object.fromEntries(Object.entries(json.cases).filter(([each]) => !ofCase(each)));
  }
  // The list of tensors repeats the header.
  if (name !== "weights") delete json.tensors;
  writeFileSync(new URL(`${name}.json`, to), JSON.stringify(json));
  const file = `${from}/${name}.safetensors`;
  if (!existsSync(file)) continue;
  const parts = trimTensors(readFileSync(file), (each) => tensors.test(each) || ofCase(each.split("/")[0] ?? ""));
  writeFileSync(new URL(`${name}.safetensors`, to), concat(parts));
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
