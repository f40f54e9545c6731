/**
 * A parity folder of other sizes, from the one beside this file: two layers more that change nothing, one joint and one
 * split, wider MLPs whose added part counts for nothing, one vision layer more, fewer cases. Its numbers are known, since
 * they are those of the first folder under other names.
 */
import { readFileSync, writeFileSync } from "node:fs";

interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Which layer of the first folder each layer is; at its second time it adds nothing. */
const LAYERS = [0, 0, 1, 2, 3, 4, 4, 5];
const VISION_LAYERS = [0, 0, 1, 2];
const WIDER = 32;

/** Files of cases, and how many of them are kept. */
const FILES: Readonly<Record<string, number>> = {
  image_preprocess: 99,
  t2i_forward: 1,
  text_forward: 2,
  grounding: 1,
  text_decode: 2,
  t2i_loop: 2,
};

export function writeOtherSizes(from: string, to: string): void {
  const json = (name: string) => JSON.parse(readFileSync(`${from}/${name}`, "utf8"));
  const put = (name: string, value: unknown) => writeFileSync(`${to}/${name}`, JSON.stringify(value));
  const config = json("config.json");
  put("config.json", {
    ...config,
    n_layers: config.n_layers + 2,
    dual_tower_layers: config.dual_tower_layers + 1,
    mlp_hidden_size: config.mlp_hidden_size + WIDER,
    mlp_hidden_size_gen: config.mlp_hidden_size_gen + WIDER,
  });
  const vision = json("vision_config.json");
  put("vision_config.json", {
    ...vision,
    num_hidden_layers: vision.num_hidden_layers + 1,
    layers_kept: vision.layers_kept + 1,
    intermediate_size: vision.intermediate_size + WIDER,
  });
  put("vqvae_config.json", json("vqvae_config.json"));
  put("weights.json", json("weights.json"));
  writeFileSync(`${to}/weights.safetensors`, encode(otherWeights(decode(readFileSync(`${from}/weights.safetensors`)))));
  for (const [name, count] of Object.entries(FILES)) {
    const file = json(`${name}.json`);
    const cases = Object.entries(file.cases).slice(0, count);
    put(`${name}.json`, { ...file, cases: Object.fromEntries(cases) });
    const kept = [...decode(readFileSync(`${from}/${name}.safetensors`))].flatMap(([tensor, value]) =>
      cases.some(([each]) => tensor.startsWith(`${each}/`)) ? [[renamed(tensor), value] as const] : []
    );
    writeFileSync(`${to}/${name}.safetensors`, encode(new Map(kept)));
  }
}

/** States after a layer, cached keys and values, and hidden states of the tower, which count layers from 1. */
function renamed(tensor: string): string {
  return tensor
    .replace(/(block|cache\.[kv])(\d+)/, (_, what: string, layer: string) => what + LAYERS.indexOf(Number(layer)))
    .replace(/hidden([1-9])/, (_, count: string) => `hidden${VISION_LAYERS.indexOf(Number(count) - 1) + 1}`);
}

function otherWeights(weights: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const result = new Map<string, Tensor>();
  for (const [name, tensor] of weights) {
    const [, before = "", layer = "", after] = /^(model\.(?:transformer\.blocks|.*encoder\.layers)\.)(\d+)(\..*)$/
      .exec(name) ?? [];
    if (after === undefined) {
      result.set(name, tensor);
      continue;
    }
    const layers = before.includes("vision_tower") ? VISION_LAYERS : LAYERS;
    const wide = widened(after, tensor);
    for (const [place, old] of layers.entries()) {
      if (old !== Number(layer)) continue;
      const again = layers.indexOf(old) < place;
      result.set(`${before}${place}${after}`, again && adds(after) ? zeros(wide) : wide);
    }
  }
  return result;
}

const adds = (name: string) => /^\.(attn_out|ff_out|ff_out_vision|self_attn\.out_proj|mlp\.fc2)\./.test(name);

/** Rows of gate, up and fc1 that repeat the first ones; columns of down and fc2 that are zero. */
function widened(name: string, { dtype, shape, bytes }: Tensor): Tensor {
  const [rows = 0, columns = 0] = shape;
  if (/^\.(ff_proj|up_proj|mlp\.fc1)(_vision)?\./.test(name)) {
    const width = bytes.byteLength / rows;
    const wide = new Uint8Array(bytes.byteLength + WIDER * width);
    wide.set(bytes);
    wide.set(bytes.subarray(0, WIDER * width), bytes.byteLength);
    return { dtype, shape: [rows + WIDER, ...shape.slice(1)], bytes: wide };
  }
  if (/^\.(ff_out|ff_out_vision|mlp\.fc2)\.weight/.test(name)) {
    const wide = new Uint8Array(rows * (columns + WIDER) * 4);
    for (let row = 0; row < rows; row++) {
      wide.set(bytes.subarray(row * columns * 4, (row + 1) * columns * 4), row * (columns + WIDER) * 4);
    }
    return { dtype, shape: [rows, columns + WIDER], bytes: wide };
  }
  return { dtype, shape, bytes };
}

const zeros = (tensor: Tensor): Tensor => ({ ...tensor, bytes: new Uint8Array(tensor.bytes.byteLength) });

function decode(file: Uint8Array): Map<string, Tensor> {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(file.subarray(8, 8 + length)),
  );
  return new Map(
    Object.entries(header).filter(([name]) => name !== "__metadata__").map(([name, { dtype, shape, data_offsets }]) => {
      const [begin, end] = data_offsets;
      return [name, { dtype, shape, bytes: file.subarray(8 + length + begin, 8 + length + end) }];
    }),
  );
}

function encode(tensors: ReadonlyMap<string, Tensor>): Uint8Array {
  let offset = 0;
  const header = Object.fromEntries([...tensors].map(([name, { dtype, shape, bytes }]) => {
    const data_offsets = [offset, offset += bytes.byteLength];
    return [name, { dtype, shape, data_offsets }];
  }));
  const json = JSON.stringify(header);
  const head = new TextEncoder().encode(json.padEnd(Math.ceil(json.length / 8) * 8));
  const result = new Uint8Array(8 + head.byteLength + offset);
  new DataView(result.buffer).setBigUint64(0, BigInt(head.byteLength), true);
  result.set(head, 8);
  let at = 8 + head.byteLength;
  for (const { bytes } of tensors.values()) {
    result.set(bytes, at);
    at += bytes.byteLength;
  }
  return result;
}
