/**
 * The network behind core/model/types.ts: a model folder's weights as graphs on an engine.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UnmaskError } from "../errors.ts";
import type { Engine, HostTensor, ResidentTensor, Session } from "../engine/types.ts";
import { cornerRows, gridOf, pickCells } from "./cells.ts";
import type { ModelConfig } from "./config.ts";
import { TextEmbedding } from "./embedding.ts";
import { openFolder } from "./folder.ts";
import { drawGraph } from "./graphs/draw.ts";
import { foldGraph } from "./graphs/fold_tables.ts";
import { cacheNames, promptGraph } from "./graphs/prompt.ts";
import { latentShape } from "./graphs/vq_blocks.ts";
import { vqDecodeGraph } from "./graphs/vq_decode.ts";
import { vqEncodeGraph } from "./graphs/vq_encode.ts";
import { foldedRows, type FoldedTables } from "./graphs/vq_tokens.ts";
import type { Part } from "./layout.ts";
import { fromPlanes, toPlanes } from "./pixels.ts";
import { type Feeds, OpenPrompt, positionRows } from "./prompt_cache.ts";
import { createTokenizer } from "./tokenizer.ts";
import type { Model, Picture, PromptCache, Tokenizer } from "./types.ts";
import type { TensorSource } from "./weights.ts";

export interface OpenModelOptions {
  /** Path of a model folder in the published layout. */
  readonly folder: string;
  /** Stays open when the model is closed. */
  readonly engine: Engine;
  /** Parts that must be complete. @default {["language", "generation", "vq"]} */
  readonly parts?: readonly Part[];
}

/** What a model is made of, wherever it comes from. */
export interface ModelSource {
  readonly config: ModelConfig;
  readonly weights: TensorSource;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  /** Called by `close`. */
  readonly dispose?: () => Promise<void>;
}

/**
 * ```ts
 * const model = await openModel({ folder: "models/scenes", engine });
 * ```
 *
 * @throws {UnmaskError} what `openFolder` and `createTokenizer` throw
 */
export async function openModel(options: OpenModelOptions): Promise<Model> {
  const folder = await openFolder(options.folder, options.parts);
  try {
    const tokenizer = await openTokenizer(options.folder);
    const { config, weights } = folder;
    return await createModel({ config, weights, tokenizer, engine: options.engine, dispose: () => folder.close() });
  } catch (error) {
    await folder.close();
    throw error;
  }
}

async function openTokenizer(folder: string): Promise<Tokenizer> {
  const json = await readFile(join(folder, "tokenizer.json"), "utf8").catch((cause: unknown) => {
    throw new UnmaskError({
      code: "file_missing",
      message: "tokenizer.json is not in the model folder",
      fix: "check that the model folder is complete",
      cause,
    });
  });
  return createTokenizer(json, await readFile(join(folder, "tokenizer_config.json"), "utf8").catch(() => "{}"));
}

/** Builds and loads what drawing needs; the VQ encoder follows when it is first asked for. */
export async function createModel(source: ModelSource): Promise<Model> {
  const { config, weights, engine } = source;
  const loaded: Session[] = [];
  const load = async (graph: ReturnType<typeof promptGraph>) => {
    const session = await engine.load(await graph);
    loaded.push(session);
    return session;
  };
  try {
    const tables = await foldTables(config, weights, engine);
    const prompt = config.promptAttention === "prefix" ? await load(promptGraph(config, weights)) : undefined;
    const draw = await load(drawGraph(config, weights, { attention: config.promptAttention, tables }));
    const decode = await load(vqDecodeGraph(config.vq, weights));
    return new Network(source, { prompt, draw, decode }, loaded);
  } catch (error) {
    for (const session of loaded) await session.release();
    throw error;
  }
}

/** Runs the fold graph once. fp32 [foldedRows * 4, dModelGen] */
export async function foldTables(config: ModelConfig, weights: TensorSource, engine: Engine): Promise<FoldedTables> {
  const session = await engine.load(await foldGraph(config, weights));
  try {
    const count = foldedRows(config);
    const data = await weights.readRows("model.gen_embedding.0.weight", 0, count);
    const rows: HostTensor = { dtype: "float32", dims: [count, config.dModelGen], data };
    return await floats(await session.run({ rows }, ["tables"]), "tables");
  } finally {
    await session.release();
  }
}

interface Sessions {
  /** Only with `prefix` attention. */
  readonly prompt: Session | undefined;
  readonly draw: Session;
  readonly decode: Session;
}

class Network implements Model {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  #source: ModelSource;
  #sessions: Sessions;
  #loaded: Session[];
  #encode: Promise<Session> | undefined;
  #embedding: TextEmbedding;

  constructor(source: ModelSource, sessions: Sessions, loaded: Session[]) {
    this.config = source.config;
    this.tokenizer = source.tokenizer;
    this.#source = source;
    this.#sessions = sessions;
    this.#loaded = loaded;
    this.#embedding = new TextEmbedding(source.config, source.weights);
  }

  get info() {
    return this.#source.engine.info;
  }

  async prompt(rows: readonly Int32Array[], suffix: Int32Array = new Int32Array()): Promise<PromptCache> {
    const length = rows[0]?.length ?? 0;
    if (length === 0) throw new RangeError("a prompt has at least one row of at least one token");
    const session = this.#sessions.prompt;
    if (session === undefined) {
      const whole = rows.map((row) => Int32Array.of(...row, ...suffix));
      return new OpenPrompt(rows.length, length, suffix.length, { embeddings: await this.#embedding.lookUp(whole) });
    }
    if (suffix.length > 0) throw new RangeError("with prefix attention the sequence ends with the last image token");
    this.#checkLength(length);
    const names = Array.from({ length: this.config.jointLayers }, (_, layer) => Object.values(cacheNames(layer)))
      .flat();
    const feeds = {
      embeddings: await this.#embedding.lookUp(rows),
      positions: positionRows(rows.length, length, (index) => index),
    };
    return new OpenPrompt(rows.length, length, 0, await session.run(feeds, names, names));
  }

  async draw(cache: PromptCache, ids: Uint16Array, positions: Uint32Array, width?: number): Promise<Float32Array[]> {
    if (!(cache instanceof OpenPrompt)) throw new RangeError("draw takes what this model's prompt() gave");
    if (positions.length === 0) return Array.from({ length: cache.rows }, () => new Float32Array());
    const grid = gridOf(ids.length, width);
    const cells = ids.length / 4;
    this.#checkLength(cache.total(cells));
    const chosen = pickCells(positions, grid);
    const feeds: Feeds = {
      corner_rows: cornerRows(ids, grid, foldedRows(this.config)),
      once_positions: positionRows(1, cells, (index) => cache.length + index),
      positions: positionRows(cache.rows, cells, (index) => cache.length + index),
      row_ones: { dtype: "float32", dims: [cache.rows, 1, 1], data: new Float32Array(cache.rows).fill(1) },
      cells: { dtype: "int32", dims: [chosen.cells.length], data: chosen.cells },
      cell_positions: positionRows(
        cache.rows,
        chosen.cells.length,
        (index) => cache.length + (chosen.cells[index] ?? 0),
      ),
      picks: { dtype: "int32", dims: [positions.length], data: chosen.picks },
      ...cache.feeds(cells),
    };
    const all = await floats(await this.#sessions.draw.run(feeds, ["logits"]), "logits");
    const size = positions.length * this.config.vqCodes;
    return Array.from({ length: cache.rows }, (_, row) => all.subarray(row * size, (row + 1) * size));
  }

  async decode(ids: Uint16Array, width?: number): Promise<Picture> {
    const grid = gridOf(ids.length, width);
    const bad = ids.find((id) => id >= this.config.vqCodes);
    if (bad !== undefined) throw new RangeError(`VQ id ${bad} is no code; the model has ${this.config.vqCodes}`);
    const data = Int32Array.from(ids);
    const feeds: Feeds = {
      ids: { dtype: "int32", dims: [1, grid.height, grid.width], data },
      ...latentShape(this.config.vq, grid.height, grid.width),
    };
    const planes = await floats(await this.#sessions.decode.run(feeds, ["picture"]), "picture");
    return fromPlanes(planes, grid.width * this.config.vq.factor, grid.height * this.config.vq.factor);
  }

  async encode(picture: Picture): Promise<Uint16Array> {
    const { factor } = this.config.vq;
    if (picture.width % factor !== 0 || picture.height % factor !== 0) {
      throw new UnmaskError({
        code: "picture_size",
        message: `a picture of ${picture.width}x${picture.height} does not divide into ${factor}-pixel ids`,
        fix: `resize it to multiples of ${factor}`,
      });
    }
    this.#encode ??= this.#loadEncoder().catch((error: unknown) => {
      this.#encode = undefined; // the next call tries again
      throw error;
    });
    const session = await this.#encode;
    const shape = latentShape(this.config.vq, picture.height / factor, picture.width / factor);
    const { ids } = await session.run({ picture: toPlanes(picture), ...shape }, ["ids"]);
    if (ids === undefined) throw new RangeError("vq_encode gave no ids");
    const host = "read" in ids ? await ids.read() : ids;
    return Uint16Array.from(host.data as BigInt64Array, Number);
  }

  async #loadEncoder(): Promise<Session> {
    const { engine, weights } = this.#source;
    const session = await engine.load(await vqEncodeGraph(this.config.vq, weights));
    this.#loaded.push(session);
    return session;
  }

  async close(): Promise<void> {
    for (const session of this.#loaded.splice(0)) await session.release();
    await this.#source.dispose?.();
  }

  #checkLength(tokens: number): void {
    if (tokens <= this.config.maxPositions) return;
    throw new UnmaskError({
      code: "sequence_too_long",
      message: `the sequence has ${tokens} tokens, the model takes ${this.config.maxPositions}`,
      fix: "shorten the prompt",
      param: "prompt",
    });
  }
}

async function floats(
  outputs: Record<string, HostTensor | ResidentTensor>,
  name: string,
): Promise<Float32Array> {
  const tensor = outputs[name];
  if (tensor === undefined) throw new RangeError(`the graph gave no ${name}`);
  const { data } = "read" in tensor ? await tensor.read() : tensor;
  if (!(data instanceof Float32Array)) throw new RangeError(`${name} is not fp32`);
  return data;
}
