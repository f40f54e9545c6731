/**
 * External data of all graphs of a folder, in files that stay below 2 GB. Graphs share weights: one that two graphs
 * hold is written once.
 *
 * @module
 */
import type { StoredWeight, WeightStore } from "../../../kernels/onnx/graph.ts";
import { type FileEntry, HashedFile } from "./hashed_file.ts";

/** A cache line; runtimes map whole pages around a weight by themselves. */
const ALIGNMENT = 64;
/** onnxruntime-web cannot take 2 GB in one piece. */
export const FILE_LIMIT = 1.5 * 2 ** 30;

export interface WeightFilesOptions {
  readonly folder: string;
  /** Bytes of a file. @default {FILE_LIMIT} */
  readonly fileLimit?: number;
  readonly onProgress?: (graph: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export class WeightFiles implements WeightStore {
  readonly #options: WeightFilesOptions;
  readonly #stored = new Map<string, StoredWeight>();
  readonly #entries: FileEntry[] = [];
  #file: HashedFile | undefined;
  #graph = { name: "", done: 0, total: 0 };
  #used = new Set<string>();

  constructor(options: WeightFilesOptions) {
    this.#options = options;
  }

  begin(name: string, total: number): void {
    this.#graph = { name, done: 0, total };
    this.#used = new Set();
  }

  async place(name: string, length: number, load: () => Promise<Uint8Array>): Promise<StoredWeight> {
    this.#options.signal?.throwIfAborted();
    let stored = this.#stored.get(name);
    if (stored !== undefined && stored.length !== length) {
      throw new RangeError(`weight ${name} has ${stored.length} bytes in one graph and ${length} in another`);
    }
    if (stored === undefined) {
      stored = await this.#write(length, load);
      this.#stored.set(name, stored);
    }
    this.#used.add(stored.path);
    const graph = this.#graph;
    graph.done += length;
    this.#options.onProgress?.(graph.name, Math.min(graph.done, graph.total), graph.total);
    return stored;
  }

  /** Names of the files that the graph begun last reads. */
  get used(): readonly string[] {
    return [...this.#used];
  }

  async #write(length: number, load: () => Promise<Uint8Array>): Promise<StoredWeight> {
    const bytes = await load();
    const start = Math.ceil((this.#file?.size ?? 0) / ALIGNMENT) * ALIGNMENT;
    if (start + length > (this.#options.fileLimit ?? FILE_LIMIT)) await this.#finish();
    await this.#file?.align(ALIGNMENT);
    this.#file ??= await HashedFile.create(this.#options.folder, `weights.${this.#entries.length}.bin`);
    const offset = this.#file.size;
    await this.#file.write(bytes);
    return { path: this.#file.name, offset, length };
  }

  async #finish(): Promise<void> {
    if (this.#file !== undefined) this.#entries.push(await this.#file.finish());
    this.#file = undefined;
  }

  /** Everything to the disk. */
  async finish(): Promise<readonly FileEntry[]> {
    await this.#finish();
    return this.#entries;
  }

  async abandon(): Promise<void> {
    await this.#file?.abandon();
    this.#file = undefined;
  }
}
