/**
 * Pictures to VQ ids and back, by the two graphs of the VQ tokenizer.
 *
 * @module
 */
import type { Session } from "../engine/types.ts";
import { UnmaskError } from "../errors.ts";
import { gridOf } from "./cells.ts";
import type { ModelConfig } from "./config.ts";
import { latentShape } from "./graphs/vq_blocks.ts";
import { hostFloats } from "./outputs.ts";
import { fromPlanes, toPlanes } from "./pixels.ts";
import type { Feeds } from "./prompt_cache.ts";
import type { Picture } from "./types.ts";

/** VQ ids [height * width] to the picture they stand for. @throws {RangeError} for ids that are no codes */
export async function vqDecode(
  session: Session,
  config: ModelConfig,
  ids: Uint16Array,
  width?: number,
): Promise<Picture> {
  const grid = gridOf(ids.length, width);
  const bad = ids.find((id) => id >= config.vqCodes);
  if (bad !== undefined) throw new RangeError(`VQ id ${bad} is no code; the model has ${config.vqCodes}`);
  const data = Int32Array.from(ids);
  const feeds: Feeds = {
    ids: { dtype: "int32", dims: [1, grid.height, grid.width], data },
    ...latentShape(config.vq, grid.height, grid.width),
  };
  const planes = await hostFloats(await session.run(feeds, ["picture"]), "picture");
  return fromPlanes(planes, grid.width * config.vq.factor, grid.height * config.vq.factor);
}

/** A picture to its VQ ids. @throws {UnmaskError} `picture_size` for one that ids do not divide */
export async function vqEncode(session: Session, config: ModelConfig, picture: Picture): Promise<Uint16Array> {
  const { factor } = config.vq;
  if (picture.width % factor !== 0 || picture.height % factor !== 0) {
    throw new UnmaskError({
      code: "picture_size",
      message: `a picture of ${picture.width}x${picture.height} does not divide into ${factor}-pixel ids`,
      fix: `resize it to multiples of ${factor}`,
    });
  }
  const shape = latentShape(config.vq, picture.height / factor, picture.width / factor);
  const { ids } = await session.run({ picture: toPlanes(picture), ...shape }, ["ids"]);
  if (ids === undefined) throw new RangeError("vq_encode gave no ids");
  const host = "read" in ids ? await ids.read() : ids;
  return Uint16Array.from(host.data as BigInt64Array, Number);
}
