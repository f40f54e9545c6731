/** Conversions of the small model into a folder of their own, and what comes out of them. */
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { convert, type ConvertSource } from "../../../core/model/convert/convert.ts";
import type { ConvertedPart, Dtype, Manifest } from "../../../core/model/convert/manifest.ts";
import { openModel } from "../../../core/model/open_model.ts";
import type { Model } from "../../../core/model/types.ts";
import { smallSource } from "./small_model.ts";

export const ALL: readonly ConvertedPart[] = ["draw", "understand"];

export class Converting {
  readonly engine: Engine;
  readonly root: string;

  private constructor(engine: Engine, root: string) {
    this.engine = engine;
    this.root = root;
  }

  static async begin(): Promise<Converting> {
    return new Converting(await openEngine({ provider: "cpu", threads: 1 }), await Deno.makeTempDir());
  }

  /** A file that the conversion wrote. */
  out(name: string): string {
    return `${this.root}/out/${name}`;
  }

  run(
    dtype: Dtype,
    parts: readonly ConvertedPart[] = ALL,
    source: ConvertSource = smallSource(),
    more: { fileLimit?: number; signal?: AbortSignal; onProgress?: (what: string) => void } = {},
  ): Promise<Manifest> {
    return convert({ source, to: `${this.root}/out`, dtype, parts, engine: this.engine, ...more });
  }

  open(parts?: Parameters<typeof openModel>[0]["parts"]): Promise<Model> {
    return openModel({ folder: `${this.root}/out`, engine: this.engine, ...(parts === undefined ? {} : { parts }) });
  }

  async end(): Promise<void> {
    await this.engine.close();
    await Deno.remove(this.root, { recursive: true });
  }
}
