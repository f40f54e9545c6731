/**
 * Boxes drawn on a picture, a colour for each label, so that a plan or what was found can be looked at.
 *
 * @module
 */
import type { Picture } from "../model/types.ts";
import { rgbaOnWhite, toRgba } from "./channels.ts";
import { drawingOn } from "./imagescript.ts";

export interface LabelledBox {
  readonly label: string;
  /** [left, top, right, bottom] in pixels of the picture; what lies outside is not drawn. */
  readonly xyxy: readonly [number, number, number, number];
}

export interface Overlay {
  readonly picture: Picture;
  /** `#rrggbb` by label, in the order in which labels first appear. */
  readonly colors: ReadonlyMap<string, string>;
}

/** Told apart on light and on dark ground, and by most who see fewer colours (Okabe and Ito, 2008). */
const COLORS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000"] as const;

/**
 * A new picture with a frame at each box's inner edge, later boxes over earlier ones; labels beyond the eighth take the
 * colours again. `encodePicture` makes a PNG of it.
 *
 * @param thickness pixels @default {a 128th of the longer side, at least 2}
 * @throws {UnmaskError} `codec_unavailable` (501) where native addons may not be loaded
 */
export async function overlayBoxes(
  picture: Picture,
  boxes: readonly LabelledBox[],
  thickness = Math.max(2, Math.round(Math.max(picture.width, picture.height) / 128)),
): Promise<Overlay> {
  const { width, height, data } = picture;
  const colors = new Map<string, string>();
  for (const { label } of boxes) {
    if (!colors.has(label)) colors.set(label, COLORS[colors.size % COLORS.length] ?? COLORS[0]);
  }
  const drawing = await drawingOn(width, height, toRgba(data));
  for (const { label, xyxy } of boxes) {
    const color = Number.parseInt(`${(colors.get(label) ?? COLORS[0]).slice(1)}ff`, 16);
    const fill = (left: number, top: number, right: number, bottom: number) => {
      const [x1, y1] = [Math.max(0, left), Math.max(0, top)];
      const [x2, y2] = [Math.min(width, right), Math.min(height, bottom)];
      if (x1 < x2 && y1 < y2) drawing.box(x1, y1, x2 - x1, y2 - y1, color);
    };
    const [left, top, right, bottom] = xyxy.map(Math.round) as [number, number, number, number];
    fill(left, top, right, Math.min(bottom, top + thickness));
    fill(left, Math.max(top, bottom - thickness), right, bottom);
    fill(left, top, Math.min(right, left + thickness), bottom);
    fill(Math.max(left, right - thickness), top, right, bottom);
  }
  return { picture: { width, height, data: rgbaOnWhite(drawing.rgba()) }, colors };
}
