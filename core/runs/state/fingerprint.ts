/**
 * The numerics fingerprint: with an equal one, a run goes on bit for bit (docs/design.md, "Exactness").
 *
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { GRAPH_VERSION, MANIFEST } from "../../model/convert/manifest.ts";

/** Everything that the bits of a result depend on beside the run itself. */
export interface Numerics {
  /** Hash of the weights, from {@link weightsHash}. */
  readonly weights: string;
  readonly provider: string;
  /** Runtime and its version: `onnxruntime-node 1.30.0`. */
  readonly runtime: string;
  /** GPU adapter or CPU model, and with it the instruction set. */
  readonly device: string;
  readonly threads: number;
}

/** 16 hexadecimal digits over the numerics and the version of the graph builder. */
export function fingerprint(numerics: Numerics): string {
  const { weights, provider, runtime, device, threads } = numerics;
  const parts = [GRAPH_VERSION, weights, provider, runtime, device, threads];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/**
 * Hash of a model folder's weights and configuration: of the manifest where there is one (it lists every file's
 * checksum, and the dtype), else of the files themselves, read once.
 */
export async function weightsHash(folder: string): Promise<string> {
  const hash = createHash("sha256");
  const names = (await readdir(folder)).sort();
  if (names.includes(MANIFEST)) return hash.update(await readFile(join(folder, MANIFEST))).digest("hex");
  for (const name of [...names.map((name) => [name]), ...(await vqNames(folder, names))]) {
    const path = join(folder, ...name);
    if (!/\.(safetensors|json)$/.test(path)) continue;
    hash.update(`${name.join("/")}\0`);
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  }
  return hash.digest("hex");
}

async function vqNames(folder: string, names: readonly string[]): Promise<string[][]> {
  if (!names.includes("vqvae")) return [];
  return (await readdir(join(folder, "vqvae"))).sort().map((name) => ["vqvae", name]);
}
