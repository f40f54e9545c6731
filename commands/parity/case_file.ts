/**
 * One file of reference numbers: a json with its cases and, for most, the tensors beside it. Remembers which tensors
 * were looked at, so that what nobody compared can be named.
 *
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileSource } from "../../core/model/byte_source.ts";
import { Safetensors } from "../../core/model/safetensors.ts";

export type Json = Readonly<Record<string, unknown>>;

export class CaseFile {
  /** Without its ending: `t2i_loop`. */
  readonly name: string;
  readonly json: Json;
  readonly #tensors: Safetensors | undefined;
  readonly #read = new Set<string>();

  private constructor(name: string, json: Json, tensors: Safetensors | undefined) {
    this.name = name;
    this.json = json;
    this.#tensors = tensors;
  }

  /** Undefined if there is no such json. */
  static async open(folder: string, name: string): Promise<CaseFile | undefined> {
    const text = await readFile(join(folder, `${name}.json`), "utf8").catch(() => undefined);
    if (text === undefined) return undefined;
    const file = join(folder, `${name}.safetensors`);
    const present = await stat(file).then(() => true, () => false);
    const tensors = present ? await Safetensors.open(await fileSource(file, `${name}.safetensors`)) : undefined;
    return new CaseFile(name, JSON.parse(text), tensors);
  }

  get cases(): readonly (readonly [name: string, settings: Json])[] {
    return Object.entries(this.json["cases"] as Record<string, Json>);
  }

  /** The file's tolerance where it is one number. @default {1e-4} */
  get tolerance(): number {
    const value = this.json["tolerance"];
    return typeof value === "number" ? value : 1e-4;
  }

  /** False if tensors are spoken of and their file is absent. */
  get complete(): boolean {
    return this.#tensors !== undefined || this.json["tensors"] === undefined;
  }

  has(name: string): boolean {
    return this.#tensors?.entries.has(name) ?? false;
  }

  /** Names of a case's tensors, without the case. */
  names(of: string): string[] {
    return [...this.#tensors?.entries.keys() ?? []]
      .filter((name) => name.startsWith(`${of}/`))
      .map((name) => name.slice(of.length + 1));
  }

  dims(name: string): readonly number[] {
    return this.#tensors?.entries.get(name)?.dims ?? [];
  }

  async floats(name: string): Promise<Float32Array> {
    this.#read.add(name);
    return await this.#open.readFloat(name);
  }

  async integers(name: string): Promise<Int32Array> {
    this.#read.add(name);
    return Int32Array.from(await this.#open.readInteger(name), Number);
  }

  /** Tensors that were never read. */
  get unread(): string[] {
    return [...this.#tensors?.entries.keys() ?? []].filter((name) => !this.#read.has(name)).sort();
  }

  async close(): Promise<void> {
    await this.#tensors?.close();
  }

  get #open(): Safetensors {
    if (this.#tensors === undefined) throw new RangeError(`${this.name} has no tensors`);
    return this.#tensors;
  }
}
