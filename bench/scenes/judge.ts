/**
 * The one judge of scenes: a picture and what it should show, to a verdict.
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";
import { UnmaskError } from "../../core/errors.ts";
import { createDetector, type Sight } from "./detect.ts";
import type { Metadata } from "./prompt.ts";
import { judgeSight, type Verdict } from "./score.ts";
import type { World } from "./world.ts";

export interface Judge {
  see(picture: Picture): Sight;
  judge(picture: Picture, metadata: Metadata): Verdict;
}

/**
 * ```ts
 * const world = await loadWorld();
 * const { correct, strict } = createJudge(world).judge(picture, parsePrompt(world.data, "a photo of a red car"));
 * ```
 *
 * @throws {UnmaskError} `picture_size_unsupported` from either function: scenes are squares of `canvas` pixels
 */
export function createJudge(world: World): Judge {
  const detect = createDetector(world), { canvas } = world.data;
  const see = (picture: Picture): Sight => {
    if (picture.width === canvas && picture.height === canvas) return detect(picture);
    throw new UnmaskError({
      code: "picture_size_unsupported",
      message: `the judge sees pictures of ${canvas}x${canvas}, this one is ${picture.width}x${picture.height}`,
      fix: "draw it at the native size of the scenes model",
      param: "picture",
    });
  };
  return { see, judge: (picture, metadata) => judgeSight(world, see(picture), metadata) };
}
