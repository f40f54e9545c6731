/**
 * The model of a parity folder: configuration in three files, weights in one, the two vocabulary tables by their formula
 * (parity README, "Tables").
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UnmaskError } from "../../core/errors.ts";
import type { Engine } from "../../core/engine/types.ts";
import type { ModelConfig } from "../../core/model/config.ts";
import { parseConfig } from "../../core/model/config.ts";
import { createModel, type ModelSource } from "../../core/model/model.ts";
import type { Model, Tokenizer } from "../../core/model/types.ts";
import type { TensorSource } from "../../core/model/weights.ts";
import { CaseFile, type Json } from "./case_file.ts";
import { mix } from "./reference_draws.ts";
import { standInTokenizer } from "./stand_in_tokenizer.ts";

/** Files that make the model; without one of them only what needs no model can be checked. */
export const MODEL_FILES = [
  "config.json",
  "vision_config.json",
  "vqvae_config.json",
  "weights.json",
  "weights.safetensors",
] as const;

interface Formula {
  readonly shape: readonly [rows: number, columns: number];
  readonly seed: number;
  readonly scale: number;
  readonly check: Readonly<Record<string, readonly number[]>>;
}

export interface ReferenceModel extends ModelSource {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  close(): Promise<void>;
}

/** @throws {UnmaskError} `parity_folder_invalid` if a table does not fit its check rows, and what config.json refuses */
export async function openReferenceModel(folder: string, engine: Engine): Promise<ReferenceModel> {
  const read = async (name: string): Promise<Json> => JSON.parse(await readFile(join(folder, name), "utf8"));
  const config = parseConfig(
    { ...await read("config.json"), vision_config: await read("vision_config.json") },
    await read("vqvae_config.json"),
  );
  const file = await CaseFile.open(folder, "weights");
  if (file === undefined) throw new RangeError("weights.json was there a moment ago");
  const formulas = file.json["tables"] as Readonly<Record<string, Formula>>;
  checkTables(formulas);
  const weights = tensorSource(file, formulas);
  const tokenizer = standInTokenizer();
  const model = await createModel({ config, weights, tokenizer, engine });
  return {
    config,
    weights,
    tokenizer,
    engine,
    model,
    close: async () => {
      await model.close();
      await file.close();
    },
  };
}

function tensorSource(file: CaseFile, formulas: Readonly<Record<string, Formula>>): TensorSource {
  const rows = async (name: string, first: number, count: number) => {
    const formula = formulas[name];
    if (formula !== undefined) return tableRows(formula, first, count);
    const [all = 0] = file.dims(name);
    const values = await file.floats(name);
    const width = values.length / all;
    return values.slice(first * width, (first + count) * width);
  };
  return {
    dims: (name) => formulas[name]?.shape ?? (file.has(name) ? file.dims(name) : undefined),
    read: (name) => rows(name, 0, formulas[name]?.shape[0] ?? file.dims(name)[0] ?? 0),
    readRows: rows,
  };
}

function tableRows({ shape: [, columns], seed, scale }: Formula, first: number, count: number): Float32Array {
  const result = new Float32Array(count * columns);
  for (let i = 0; i < count; i++) {
    const row = Math.imul(first + i, 0x9E3779B1) ^ seed;
    for (let j = 0; j < columns; j++) {
      result[i * columns + j] = ((mix(row ^ Math.imul(j, 0x85EBCA77)) >>> 16) - 32768) / 32768 * scale;
    }
  }
  return result;
}

function checkTables(formulas: Readonly<Record<string, Formula>>): void {
  for (const [name, formula] of Object.entries(formulas)) {
    for (const [row, values] of Object.entries(formula.check)) {
      const made = tableRows(formula, Number(row), 1);
      if (values.every((value, i) => value === made[i])) continue;
      throw new UnmaskError({
        code: "parity_folder_invalid",
        message: `weights.json: row ${row} of ${name} is not what its formula gives`,
        fix: "use the folder as it was handed out",
      });
    }
  }
}

/** The same weights with some rows of the LM head multiplied (grounding.json, `head_rows_times`). */
export function withScaledHead(
  weights: TensorSource,
  { first, last, factor }: { readonly first: number; readonly last: number; readonly factor: number },
): TensorSource {
  const head = "model.transformer.ff_out.weight";
  const readRows = async (name: string, from: number, count: number) => {
    const values = await weights.readRows(name, from, count);
    if (name !== head) return values;
    const width = values.length / count;
    return values.map((value, i) => {
      const row = from + Math.floor(i / width);
      return row >= first && row <= last ? value * factor : value;
    });
  };
  return {
    dims: (name) => weights.dims(name),
    readRows,
    read: (name) => name === head ? readRows(name, 0, weights.dims(name)?.[0] ?? 0) : weights.read(name),
  };
}

/** What a check of one file is given. */
export interface CheckContext extends ReferenceModel {
  readonly config: ModelConfig;
}
