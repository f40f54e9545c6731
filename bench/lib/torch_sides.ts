/**
 * What the PyTorch sides of `bench draw` answer, and the checks on it.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";
import { compareIds, type IdComparison, largestDifference } from "./compare.ts";
import type { GemmShape } from "./gemm.ts";
import { PythonSide } from "./python.ts";
import type { Drawn } from "./runtime.ts";

/** `published` and `good` are the loops of training/bench; `compiled` is `good` under torch.compile. */
export type TorchLoop = "published" | "good" | "compiled";

const opened = z.object({ torch: z.string(), threads: z.number() });
const drawn = z.object({
  seconds: z.number(),
  cpu_seconds: z.number(),
  parts: z.object({ prompt: z.number(), steps: z.number(), sampling: z.number(), decode: z.number() }),
  ids: z.array(z.number()),
  gaps: z.array(z.number()),
  pixels: z.string(),
});
const counted = z.object({ multiply_adds: z.number() });
const measured = z.object({ rates: z.array(z.number()) });

export type TorchDrawn = z.infer<typeof drawn>;

export interface TorchOptions {
  readonly python: string;
  readonly folder: string;
  readonly threads: number;
  readonly compiled: boolean;
}

export class TorchSides {
  readonly loops: readonly TorchLoop[];
  readonly version: string;
  #python: PythonSide;

  private constructor(python: PythonSide, version: string, loops: readonly TorchLoop[]) {
    this.#python = python;
    this.version = version;
    this.loops = loops;
  }

  /** @throws what {@link PythonSide} throws; `threads_differ` */
  static async open({ python, folder, threads, compiled }: TorchOptions): Promise<TorchSides> {
    const side = await PythonSide.open(python);
    const answer = await side.call("open", { folder: Deno.realPathSync(folder), threads, compiled }, opened);
    if (answer.threads !== threads) {
      throw new UnmaskError({
        code: "threads_differ",
        message: `PyTorch computes on ${answer.threads} threads and the runtime on ${threads}`,
        fix: "give --threads a number that both can have",
        param: "threads",
      });
    }
    return new TorchSides(side, `torch ${answer.torch}`, [
      "published",
      "good",
      ...compiled ? ["compiled"] as const : [],
    ]);
  }

  /** The picture of a recipe by one loop. */
  async draw(loop: TorchLoop, { recipe }: Drawn): Promise<TorchDrawn> {
    return await this.#python.call("draw", { loop, ...recipe }, drawn);
  }

  /** Multiply-adds of prompt and steps of a picture. */
  async multiplyAdds(loop: TorchLoop, { recipe }: Drawn): Promise<number> {
    return (await this.#python.call("work", { loop, ...recipe }, counted)).multiply_adds;
  }

  async gemmRates(shapes: readonly GemmShape[], repeats: number): Promise<number[]> {
    return (await this.#python.call("gemm", { shapes, repeats }, measured)).rates;
  }

  async close(): Promise<void> {
    await this.#python.close();
  }
}

export interface Agreement extends IdComparison {
  /** Of the pictures' bytes, 0-255; undefined where the ids differ. */
  readonly pixelDifference: number | undefined;
}

/** Whether a loop drew what the runtime drew. */
export function agreement(ours: Drawn, theirs: TorchDrawn): Agreement {
  const ids = compareIds(ours.ids, theirs.ids, theirs.gaps, ours.recipe);
  const pixels = Uint8Array.from(atob(theirs.pixels), (character) => character.charCodeAt(0));
  const pixelDifference = ids.different === 0 ? largestDifference(ours.picture.data, pixels) : undefined;
  return { ...ids, pixelDifference };
}
