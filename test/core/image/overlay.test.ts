import { expect, test } from "vitest";
import { decodePicture, encodePicture } from "../../../core/image/codec.ts";
import { ground } from "../../../core/image/frame.ts";
import { overlayBoxes } from "../../../core/image/overlay.ts";
import type { Picture } from "../../../core/model/types.ts";

const grey = ground(20, 12, 100);
const colorAt = ({ width, data }: Picture, x: number, y: number) =>
  `#${
    [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)].map((v) => v.toString(16).padStart(2, "0")).join(
      "",
    )
  }`;
const GREY = "#646464";
/** Pixels of a picture that have a colour. */
const painted = (picture: Picture, color: string) => {
  const found: string[] = [];
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) if (colorAt(picture, x, y) === color) found.push(`${x},${y}`);
  }
  return found;
};

test("a frame lies at the inner edge of its box, through a PNG, and nothing else changes", async () => {
  const { picture, colors } = await overlayBoxes(grey, [{ label: "dog", xyxy: [3, 2, 9, 8] }], 1);
  const read = await decodePicture(await encodePicture(picture, "png"));
  const color = colors.get("dog") ?? "";
  const edge: string[] = [];
  for (let y = 2; y < 8; y++) {
    for (let x = 3; x < 9; x++) if (x === 3 || x === 8 || y === 2 || y === 7) edge.push(`${x},${y}`);
  }
  expect(painted(read, color)).toEqual(edge);
  expect(painted(read, GREY)).toHaveLength(20 * 12 - edge.length);
  expect(grey.data.every((value) => value === 100)).toBe(true);
});

test("labels have colours of their own, the same for each of their boxes", async () => {
  const boxes = [
    { label: "dog", xyxy: [0, 0, 4, 4] },
    { label: "cup", xyxy: [6, 0, 10, 4] },
    { label: "dog", xyxy: [12, 0, 16, 4] },
  ] as const;
  const { picture, colors } = await overlayBoxes(grey, boxes);
  expect([...colors.keys()]).toEqual(["dog", "cup"]);
  expect(new Set(colors.values()).size).toBe(2);
  // Two pixels thick, a box of four is full.
  expect([colorAt(picture, 1, 1), colorAt(picture, 13, 2)]).toEqual(Array(2).fill(colors.get("dog")));
  expect(colorAt(picture, 7, 1)).toBe(colors.get("cup"));
  expect(colorAt(picture, 5, 1)).toBe(GREY);
  const many = Array.from({ length: 9 }, (_, i) => ({ label: `thing ${i}`, xyxy: [0, 0, 1, 1] as const }));
  const all = [...(await overlayBoxes(grey, many)).colors.values()];
  expect(new Set(all).size).toBe(8);
  expect(all[8]).toBe(all[0]);
});

test("a box that leaves the picture is cut, an empty one draws nothing; sides are rounded", async () => {
  const cut = await overlayBoxes(grey, [{ label: "dog", xyxy: [-5, -5, 30, 3] }], 1);
  expect(painted(cut.picture, cut.colors.get("dog") ?? "")).toEqual(Array.from({ length: 20 }, (_, x) => `${x},2`));
  const beyond = await overlayBoxes(grey, [{ label: "dog", xyxy: [5, 12, 9, 40] }, {
    label: "cup",
    xyxy: [4, 4, 4, 9],
  }]);
  expect(beyond.picture).toEqual(grey);
  const rounded = await overlayBoxes(grey, [{ label: "dog", xyxy: [2.6, 2.4, 4.4, 3.6] }], 5);
  expect(painted(rounded.picture, rounded.colors.get("dog") ?? "")).toEqual(["3,2", "3,3"]);
});
