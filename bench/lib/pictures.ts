import { UnmaskError } from "../../core/errors.ts";

/**
 * `--pictures` as it was given, or the default.
 *
 * @throws {UnmaskError} `pictures_out_of_range` (not a whole number from 1)
 */
export function checkPictures(pictures: number): number {
  if (Number.isInteger(pictures) && pictures >= 1) return pictures;
  throw new UnmaskError({
    code: "pictures_out_of_range",
    message: "the number of pictures is a whole number from 1",
    fix: "leave --pictures out",
    param: "pictures",
  });
}
