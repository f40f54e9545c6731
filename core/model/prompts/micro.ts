/**
 * Universal text conditioning (facts 3.4): `KEY : VALUE` pairs joined by `; `.
 *
 * @module
 */

export interface Micro {
  /** Pixels before resizing. */
  readonly width: number;
  readonly height: number;
  /** Offset of the crop in the resized picture, pixels. @default {0} */
  readonly top?: number;
  readonly left?: number;
  /** Mean luminance, 0 to 1. */
  readonly luminance?: number;
  /** Standard deviation of the luminance, 0 to 1. */
  readonly contrast?: number;
  /** LAION aesthetic score, about 5.7 to 7.2. */
  readonly score?: number;
  /** HPSv2 x 10, about 3.2. */
  readonly hps?: number;
}

/** The string with the final `;` of the published inference settings; training of the published model has none. */
export function microString(micro: Micro): string {
  const pairs = [
    `ORIGINAL WIDTH : ${micro.width}`,
    `ORIGINAL HEIGHT : ${micro.height}`,
    `TOP : ${micro.top ?? 0}`,
    `LEFT : ${micro.left ?? 0}`,
  ];
  const add = (key: string, value: number | undefined) => {
    if (value !== undefined) pairs.push(`${key} : ${value.toFixed(3)}`);
  };
  add("LUMINANCE", micro.luminance);
  add("CONTRAST", micro.contrast);
  add("SCORE", micro.score);
  add("HPS", micro.hps);
  return pairs.join("; ") + ";";
}
