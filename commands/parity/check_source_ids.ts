/**
 * VQ ids of a case's source picture, encoded here from pixels that were resized here. The README allows resized pixels
 * 2/255, and stores the ids that the case used, so that this cannot leak: the loop runs on those. Here a place may
 * differ only if it is a tie: the reference's id is as near to the latent as the nearest one, up to the file's tolerance.
 *
 * Why a tie can go the other way on equal pixels (edit_loop, measured): the release's pictures come to PyTorch as
 * [height, width, 3], and its GroupNorm of that layout adds squares up one after the other, which at 2^17 numbers a group
 * moves distances by 3e-5. At a place where two codes are 5e-6 apart PyTorch gives the stored id with one thread and the
 * other one with 2, 3, 4 or 8 threads, with the layout [3, height, width] and in float64. So does this runtime. A group
 * norm of fp32 sums, one number after the other, gives every stored id of the three cases (measured with NumPy). It is not
 * what ships: its latents are 3e-4 of their range off at 256 px, and equal numbers, as in a plain ground, round the same
 * way each time, so that at 1024 px sums of a million of them are off by one per cent.
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";
import { vqEncodeGraph } from "../../core/model/graphs/vq_encode.ts";
import { latentShape } from "../../core/model/graphs/vq_blocks.ts";
import { hostFloats } from "../../core/model/outputs.ts";
import { toPlanes } from "../../core/model/pixels.ts";
import type { ReferenceModel } from "./reference_model.ts";
import type { CaseReport } from "./report.ts";

/** @param picture as the tokenizer sees it */
export async function checkSourceIds(
  report: CaseReport,
  picture: Picture,
  actual: Uint16Array,
  expected: Int32Array,
  limit: number,
  { config, weights, engine }: ReferenceModel,
): Promise<void> {
  const different = [...expected.keys()].filter((place) => actual[place] !== expected[place]);
  if (different.length === 0 || actual.length !== expected.length) {
    report.equal("source_vq_ids", actual, expected);
    return;
  }
  const { factor, embeddingDimension: size } = config.vq;
  const session = await engine.load(await vqEncodeGraph(config.vq, weights, ["latents"]));
  const shape = latentShape(config.vq, picture.height / factor, picture.width / factor);
  const latents = await hostFloats(await session.run({ picture: toPlanes(picture), ...shape }, ["latents"]), "latents");
  await session.release();
  const codes = await weights.read("model.vqvae.quantize.embedding.weight");
  const distance = (place: number, id: number) => {
    let sum = 0;
    for (let i = 0; i < size; i++) {
      sum += ((latents[i * actual.length + place] ?? NaN) - (codes[id * size + i] ?? NaN)) ** 2;
    }
    return sum;
  };
  const margins = different.map((place) => {
    const nearest = distance(place, actual[place] ?? 0);
    return (distance(place, expected[place] ?? 0) - nearest) / nearest;
  });
  report.tied(`source_vq_ids at ${different.join(", ")}`, Math.max(...margins), limit);
}
