/**
 * Drawing with ids and logits that stay on the GPU: what the graph is fed is made there from the ids of a canvas.
 *
 * @module
 */
import { CORNER_ROWS } from "../../kernels/wgsl/canvas.ts";
import { groupsFor, packParams } from "../../kernels/wgsl/kernel.ts";
import type { Dispatch, Gpu, TensorPart } from "../engine/gpu.ts";
import type { HostTensor, ResidentTensor } from "../engine/types.ts";
import type { Grid } from "./cells.ts";
import { CORNERS } from "./graphs/vq_tokens.ts";
import type { OpenPrompt } from "./prompt_cache.ts";
import type { ResidentLogits } from "./types.ts";

/**
 * The draw graph's `corner_rows` of a picture on the GPU, behind those of the prompt's source if that runs in each step:
 * int32 [1, cells, 4].
 */
export async function residentCorners(
  gpu: Gpu,
  prompt: OpenPrompt,
  ids: ResidentTensor,
  grid: Grid,
): Promise<ResidentTensor> {
  const source = prompt.liveSource?.cornerRows ?? new Int32Array();
  const total = source.length + grid.width * grid.height;
  const data = new Int32Array(total);
  data.set(source);
  const rows = await gpu.tensor({ dtype: "int32", dims: [1, total / CORNERS, CORNERS], data });
  try {
    await gpu.run({ dispatches: [cornerRowsOf(ids, grid.width, rows, source.length)] });
    return rows;
  } catch (error) {
    rows.release();
    throw error;
  }
}

/**
 * The kernel that writes the rows of the corner tables for a canvas's ids into an int32 tensor, from `first` on.
 *
 * @param ids int32 [height * width]
 */
export function cornerRowsOf(ids: ResidentTensor, width: number, rows: ResidentTensor, first: number): Dispatch {
  const count = ids.dims[0] ?? 0;
  return {
    kernel: CORNER_ROWS,
    params: packParams(CORNER_ROWS, { width, ids: count, first }),
    storage: [ids, rows],
    groups: groupsFor(count),
  };
}

/** Rows of logits that several groups of a prompt's rows have given. */
export class GroupedLogits implements ResidentLogits {
  readonly #rows: TensorPart[] = [];
  readonly #tensors: ResidentTensor[] = [];

  get rows(): readonly TensorPart[] {
    return this.#rows;
  }

  /**
   * @param logits fp32 [members, picks, codes]
   * @param members which rows of the prompt they are
   */
  add(logits: HostTensor | ResidentTensor | undefined, members: readonly number[], size: number): void {
    if (logits === undefined || !("read" in logits)) throw new RangeError("the graph gave no resident logits");
    this.#tensors.push(logits);
    for (const [index, row] of members.entries()) this.#rows[row] = { tensor: logits, offset: index * size };
  }

  release(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.release();
  }
}
