/**
 * The network behind core/model/types.ts: a model folder's weights as graphs on an engine.
 *
 * @module
 */
import type { BuiltGraph } from "../../kernels/onnx/graph.ts";
import type { Gpu } from "../engine/gpu.ts";
import type { Engine, ResidentTensor, Session } from "../engine/types.ts";
import { cornerRows, type Grid, gridOf, pickCells } from "./cells.ts";
import { TOKENS } from "./chat_template.ts";
import type { ModelConfig } from "./config.ts";
import { allCorners, drawFeeds } from "./draw_feeds.ts";
import { TextEmbedding } from "./embedding.ts";
import { foldTables } from "./folded_tables.ts";
import { Graphs, type StoredGraphs } from "./graphs.ts";
import { drawGraph } from "./graphs/draw.ts";
import { promptGraph } from "./graphs/prompt.ts";
import { promptOutputs, sourceFeeds, sourcePromptGraph } from "./graphs/source_prompt.ts";
import { vqDecodeGraph } from "./graphs/vq_decode.ts";
import { vqEncodeGraph } from "./graphs/vq_encode.ts";
import { foldedRows } from "./graphs/vq_tokens.ts";
import type { Part } from "./layout.ts";
import { Lazy } from "./lazy.ts";
import { hostFloats } from "./outputs.ts";
import { type Feeds, OpenPrompt, positionRows, PromptGroups, textPlaces } from "./prompt_cache.ts";
import { GroupedLogits, residentCorners } from "./resident_draw.ts";
import { groupRows, type RowGroup } from "./row_groups.ts";
import { checkLength } from "./sequence_length.ts";
import type {
  Model,
  Picture,
  PromptCache,
  PromptPictures,
  ResidentDrawing,
  Tokenizer,
  Understanding,
} from "./types.ts";
import { createUnderstanding } from "./understanding.ts";
import { vqDecode, vqEncode } from "./vq_codec.ts";
import type { TensorSource } from "./weights.ts";

/** What a model is made of, wherever it comes from. */
export interface ModelSource {
  readonly config: ModelConfig;
  readonly weights: TensorSource;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  /** Graphs of a converted folder; `weights` then needs only what is looked up by row. */
  readonly stored?: StoredGraphs;
  /** Drawing is loaded at once with `generation` among them, else when it is first asked for. @default all */
  readonly parts?: readonly Part[];
  /** Called by `close`. */
  readonly dispose?: () => Promise<void>;
}

/** Loads what drawing needs, if that is among the parts; the rest follows when it is first asked for. */
export async function createModel(source: ModelSource): Promise<Model> {
  const network = new Network(source);
  try {
    if (source.parts?.includes("generation") ?? true) await network.loadDrawing();
    return network;
  } catch (error) {
    await network.release();
    throw error;
  }
}

class Network implements Model {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly understanding: Understanding;
  readonly resident?: ResidentDrawing;
  readonly #source: ModelSource;
  readonly #graphs: Graphs;
  readonly #embedding: TextEmbedding;
  /** Only with `prefix` attention. */
  readonly #prompt: Lazy<Session>;
  readonly #draw: Lazy<Session>;
  readonly #decode: Lazy<Session>;
  readonly #encode: Lazy<Session>;
  /** Two graphs of edits with `prefix` attention. */
  readonly #sourcePrompt: Lazy<Session>;
  readonly #sourceDraw: Lazy<Session>;

  constructor(source: ModelSource) {
    const { config, weights, engine } = source;
    const attention = config.promptAttention;
    const graphs = new Graphs(engine, source.stored);
    const tables = new Lazy(() => foldTables(config, weights, engine));
    const lazy = (name: string, build: () => Promise<BuiltGraph>) => new Lazy(() => graphs.load(name, build));
    this.config = config;
    this.tokenizer = source.tokenizer;
    this.#source = source;
    this.#graphs = graphs;
    this.#embedding = new TextEmbedding(config, weights);
    this.understanding = createUnderstanding({ ...source, graphs });
    const { gpu } = engine;
    if (gpu !== undefined) this.resident = { gpu, draw: (...args) => this.#drawResident(gpu, ...args) };
    this.#prompt = lazy("prompt", () => promptGraph(config, weights));
    this.#draw = lazy(
      `draw_${attention}`,
      async () => drawGraph(config, weights, { attention, tables: await tables.get() }),
    );
    this.#decode = lazy("vq_decode", () => vqDecodeGraph(config.vq, weights));
    this.#encode = lazy("vq_encode", () => vqEncodeGraph(config.vq, weights));
    this.#sourcePrompt = lazy("source_prompt", async () => sourcePromptGraph(config, weights, await tables.get()));
    this.#sourceDraw = lazy(
      "draw_prefix_source",
      async () => drawGraph(config, weights, { attention: "prefix", tables: await tables.get(), sourceCached: true }),
    );
  }

  async loadDrawing(): Promise<void> {
    if (this.config.promptAttention === "prefix") await this.#prompt.get();
    await this.#draw.get();
    await this.#decode.get();
  }

  get loaded() {
    return this.#graphs.loaded;
  }

  get info() {
    return this.#source.engine.info;
  }

  async prompt(
    rows: readonly Int32Array[],
    suffix: Int32Array | readonly Int32Array[] = new Int32Array(),
    pictures: PromptPictures = {},
  ): Promise<PromptCache> {
    const length = rows[0]?.length ?? 0;
    if (length === 0) throw new RangeError("a prompt has at least one row of at least one token");
    checkLength(this.config, length);
    const suffixes = suffix instanceof Int32Array ? rows.map(() => suffix) : suffix;
    const groups: { prompt: OpenPrompt; rows: readonly number[] }[] = [];
    try {
      for (const group of groupRows(this.config, rows, this.#sourceToken(pictures), pictures.source)) {
        groups.push({ prompt: await this.#openPrompt(group, suffixes, pictures.features), rows: group.members });
      }
    } catch (error) {
      for (const { prompt } of groups) prompt.release();
      throw error;
    }
    return new PromptGroups(groups);
  }

  #sourceToken({ source }: PromptPictures): number | undefined {
    return source === undefined ? undefined : this.tokenizer.id(TOKENS.sourceImage);
  }

  async #openPrompt(
    { members, rows, text, source }: RowGroup,
    suffixes: readonly Int32Array[],
    features: Float32Array | undefined,
  ): Promise<OpenPrompt> {
    const length = rows[0]?.length ?? 0;
    const after = members.map((row) => suffixes[row] ?? new Int32Array());
    const suffix = after[0]?.length ?? 0;
    if (this.config.promptAttention === "full") {
      const whole = text.map((row, index) => Int32Array.of(...row, ...after[index] ?? []));
      const embeddings = await this.#embedding.lookUp(whole, features);
      return new OpenPrompt(rows.length, length, suffix, { embeddings }, source);
    }
    if (suffix > 0) throw new RangeError("with prefix attention the sequence ends with the last image token");
    const places = textPlaces(length, source);
    const feeds: Feeds = {
      embeddings: await this.#embedding.lookUp(text, features),
      positions: positionRows(rows.length, places.length, (index) => places[index] ?? 0),
    };
    if (source === undefined) {
      const session = await this.#prompt.get();
      const names = promptOutputs(this.config.jointLayers);
      return new OpenPrompt(rows.length, length, 0, await session.run(feeds, names, names));
    }
    const session = await this.#sourcePrompt.get();
    const names = promptOutputs(this.config.layers);
    const outputs = await session.run({ ...feeds, ...sourceFeeds(source, rows.length) }, names, names);
    return new OpenPrompt(rows.length, length, 0, outputs, source);
  }

  async draw(cache: PromptCache, ids: Uint16Array, positions: Uint32Array, width?: number): Promise<Float32Array[]> {
    if (!(cache instanceof PromptGroups)) throw new RangeError("draw takes what this model's prompt() gave");
    if (positions.length === 0) return Array.from({ length: cache.rows }, () => new Float32Array());
    const result: Float32Array[] = [];
    for (const { prompt, rows } of cache.groups) {
      const logits = await this.#drawRows(prompt, ids, positions, gridOf(ids.length, width));
      for (const [index, row] of rows.entries()) result[row] = logits[index] ?? new Float32Array();
    }
    return result;
  }

  async #drawRows(prompt: OpenPrompt, ids: Uint16Array, positions: Uint32Array, grid: Grid): Promise<Float32Array[]> {
    const corners = allCorners(prompt, cornerRows(ids, grid, foldedRows(this.config)));
    const session = await this.#drawSession(prompt, ids.length);
    const feeds = drawFeeds(prompt, corners, pickCells(positions, grid));
    const all = await hostFloats(await session.run(feeds, ["logits"]), "logits");
    const size = positions.length * this.config.vqCodes;
    return Array.from({ length: prompt.rows }, (_, row) => all.subarray(row * size, (row + 1) * size));
  }

  async #drawResident(
    gpu: Gpu,
    cache: PromptCache,
    ids: ResidentTensor,
    positions: Uint32Array,
    width?: number,
  ): Promise<GroupedLogits> {
    if (!(cache instanceof PromptGroups)) throw new RangeError("draw takes what this model's prompt() gave");
    if (positions.length === 0) throw new RangeError("a draw on the GPU asks for at least one position");
    const count = ids.dims[0] ?? 0;
    const grid = gridOf(count, width);
    const picks = pickCells(positions, grid);
    const result = new GroupedLogits();
    try {
      for (const { prompt, rows } of cache.groups) {
        const session = await this.#drawSession(prompt, count);
        const corners = await residentCorners(gpu, prompt, ids, grid);
        try {
          const { logits } = await session.run(drawFeeds(prompt, corners, picks), ["logits"], ["logits"]);
          result.add(logits, rows, positions.length * this.config.vqCodes);
        } finally {
          corners.release();
        }
      }
      return result;
    } catch (error) {
      result.release();
      throw error;
    }
  }

  #drawSession(prompt: OpenPrompt, ids: number): Promise<Session> {
    checkLength(this.config, prompt.total(ids / 4));
    return (prompt.source === undefined || prompt.liveSource !== undefined ? this.#draw : this.#sourceDraw).get();
  }

  async decode(ids: Uint16Array, width?: number): Promise<Picture> {
    return vqDecode(await this.#decode.get(), this.config, ids, width);
  }

  async encode(picture: Picture): Promise<Uint16Array> {
    return vqEncode(await this.#encode.get(), this.config, picture);
  }

  async close(): Promise<void> {
    await this.understanding.close();
    await this.release();
    await this.#source.dispose?.();
  }

  /** Of everything that is loaded; what the weights come from stays open. */
  release(): Promise<void> {
    return this.#graphs.release();
  }
}
