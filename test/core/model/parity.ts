/** The parity folder's small copy (test/parity): weights, reference tensors, tolerances. */
import { readFileSync } from "node:fs";
import { fileSource } from "../../../core/model/byte_source.ts";
import { type ModelConfig, parseConfig } from "../../../core/model/config.ts";
import { Safetensors } from "../../../core/model/safetensors.ts";
import type { TensorSource } from "../../../core/model/weights.ts";

const FOLDER = new URL("../../parity/", import.meta.url);

export function readJson(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
}

export function openTensors(name: string): Promise<Safetensors> {
  return fileSource(new URL(name, FOLDER).pathname, name).then((source) => Safetensors.open(source));
}

export function parityConfig(keys: Record<string, unknown> = {}): ModelConfig {
  const vision = readJson("vision_config.json");
  delete vision["layers_kept"];
  return parseConfig(
    { ...readJson("config.json"), vision_config: vision, ...keys },
    readJson("vqvae_config.json"),
  );
}

/** One row of a vocabulary table: a hash of row and column (parity README, "Tables"). */
export function hashedRow(row: number, columns: number, seed: number, scale: number): Float32Array {
  return Float32Array.from({ length: columns }, (_, column) => {
    let h = Math.imul(row, 0x9E3779B1) ^ Math.imul(column, 0x85EBCA77) ^ seed;
    h = Math.imul(h ^ (h >>> 15), 0x2C1B3C6D);
    h = Math.imul(h ^ (h >>> 12), 0x297A2D39);
    h = (h ^ (h >>> 15)) >>> 0;
    return ((h >>> 16) - 32768) / 32768 * scale;
  });
}

interface Table {
  readonly shape: readonly [number, number];
  readonly seed: number;
  readonly scale: number;
  readonly check: Readonly<Record<string, readonly number[]>>;
}

export function tables(): Readonly<Record<string, Table>> {
  return readJson("weights.json")["tables"] as Readonly<Record<string, Table>>;
}

/** All weights of the tiny model: the file's, and the two vocabulary tables by their formula. */
export async function parityWeights(): Promise<TensorSource> {
  const file = await openTensors("weights.safetensors");
  const formulas = tables();
  const readRows = (name: string, first: number, count: number) => {
    const table = formulas[name];
    if (table === undefined) return file.readRows(name, first, count);
    const [, columns] = table.shape;
    const rows = new Float32Array(count * columns);
    for (let i = 0; i < count; i++) rows.set(hashedRow(first + i, columns, table.seed, table.scale), i * columns);
    return Promise.resolve(rows);
  };
  return {
    dims: (name) => file.entries.get(name)?.dims ?? formulas[name]?.shape,
    read: (name) => readRows(name, 0, formulas[name]?.shape[0] ?? file.entries.get(name)?.dims[0] ?? 0),
    readRows,
  };
}

/** Largest absolute difference, as a share of the largest absolute expected value. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} numbers, ${expected.length} expected`);
  let error = 0;
  let range = 0;
  for (let i = 0; i < expected.length; i++) {
    const wanted = expected[i] ?? NaN;
    const difference = Math.abs((actual[i] ?? NaN) - wanted);
    if (!(difference <= error)) error = difference; // NaN sticks
    range = Math.max(range, Math.abs(wanted));
  }
  return error / range;
}
