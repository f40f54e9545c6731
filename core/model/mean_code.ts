/**
 * The code nearest the codebook's mean: what stands at masked positions when an unfinished picture is decoded, since it
 * disturbs its neighbours least.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { isStoredFolder } from "./convert/stored_folder.ts";
import { openFolder } from "./folder.ts";
import { VQ_PREFIX } from "./layout.ts";

/** @throws {UnmaskError} `preview_unavailable` for a converted folder, whose codebook lies within its graphs */
export async function meanCode(folder: string): Promise<number> {
  if (await isStoredFolder(folder)) {
    throw new UnmaskError({
      code: "preview_unavailable",
      message: "pictures of unfinished steps need the codebook, which a converted folder holds within its graphs",
      fix: "serve the folder that it was converted from",
      status: 501,
    });
  }
  const { weights, config, close } = await openFolder(folder, ["vq"]);
  try {
    const values = await weights.read(`${VQ_PREFIX}quantize.embedding.weight`);
    return nearestMean(values, values.length / config.vqCodes);
  } finally {
    await close();
  }
}

/** @param values fp32 [codes, width], row-major */
export function nearestMean(values: Float32Array, width: number): number {
  const codes = values.length / width;
  const mean = Float64Array.from({ length: width }, (_, column) => {
    let sum = 0;
    for (let code = 0; code < codes; code++) sum += values[code * width + column] ?? 0;
    return sum / codes;
  });
  let best = 0;
  let least = Infinity;
  for (let code = 0; code < codes; code++) {
    let distance = 0;
    for (let i = 0; i < width; i++) distance += ((values[code * width + i] ?? 0) - (mean[i] ?? 0)) ** 2;
    if (distance < least) [best, least] = [code, distance];
  }
  return best;
}
