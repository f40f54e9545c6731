import { describe, expect, test } from "vitest";
import { boxFromLoc, boxToLoc, objectsText, parsePlan, planToText } from "../../../core/model/boxes.ts";
import { readSequences } from "../../parity/sequences.ts";

describe("LOC numbers", () => {
  const { frame } = readSequences();
  test("eighteen published frames are held", () => expect(frame.length).toBe(18));

  test.each(frame)("$width x $height $box_xyxy", ({ width, height, box_xyxy: [x1, y1, x2, y2], loc }) => {
    expect(boxToLoc({ x1, y1, x2, y2 }, { width, height })).toEqual(loc);
    const back = boxFromLoc([...loc], { width, height });
    const half = Math.max(width, height) / 2048 + 1e-9;
    for (const [got, wanted] of [[back.x1, x1], [back.y1, y1], [back.x2, x2], [back.y2, y2]] as const) {
      expect(Math.abs(got - wanted)).toBeLessThanOrEqual(half);
    }
  });

  test("is exact on the grid of a 256-px picture, and with a smaller table", () => {
    const size = { width: 256, height: 256 };
    const box = { x1: 32, y1: 64, x2: 160, y2: 192 };
    expect(boxToLoc(box, size)).toEqual([128, 256, 640, 768]);
    expect(boxFromLoc([128, 256, 640, 768], size)).toEqual(box);
    expect(boxToLoc(box, size, 65)).toEqual([8, 16, 40, 48]);
    expect(boxFromLoc([8, 16, 40, 48], size, 65)).toEqual(box);
  });

  test("rounds halves to the even number", () => {
    expect(boxToLoc({ x1: 1, y1: 3, x2: 5, y2: 7 }, { width: 2048, height: 2048 })).toEqual([0, 2, 2, 4]);
  });

  test.each([[-1, 0, 5, 5], [0, 0, 11, 5], [5, 0, 4, 5], [0, Number.NaN, 4, 5]])(
    "refuses %d %d %d %d",
    (x1, y1, x2, y2) => {
      expect(() => boxToLoc({ x1, y1, x2, y2 }, { width: 10, height: 10 })).toThrow(
        expect.objectContaining({ code: "box_out_of_range" }),
      );
    },
  );
});

describe("plans", () => {
  const objects = [
    { phrase: "red car", boxes: [[0, 8, 512, 1024]] },
    { phrase: "dog", boxes: [[1, 2, 3, 4], [5, 6, 7, 8]] },
  ] as const;

  test("are written as the published grounding list writes objects", () => {
    expect(planToText([{ phrase: "dog", boxes: [[10, 200, 480, 900]] }])).toBe(
      "Sure I should place the objects in the following manner <box_p> dog </box_p><LOC_BEGIN><LOC_10><LOC_200><LOC_480><LOC_900><LOC_END><|reserved_token_7|>",
    );
    expect(objectsText(objects)).toContain("<LOC_1024><LOC_END>, <box_p> dog </box_p>");
  });

  test("come back as they were", () => {
    expect(parsePlan(planToText(objects))).toEqual({ objects, malformed: [] });
    expect(parsePlan("no boxes at all")).toEqual({ objects: [], malformed: [] });
  });

  test.each([
    "<box_p> dog </box_p><LOC_BEGIN><LOC_1><LOC_2><LOC_3><LOC_END>",
    "<box_p> dog </box_p><LOC_BEGIN><LOC_5><LOC_2><LOC_3><LOC_4><LOC_END>",
    "<box_p> dog </box_p><LOC_BEGIN><LOC_1><LOC_2><LOC_3><LOC_2000><LOC_END>",
    "<box_p> dog </box_p>",
    "<box_p> dog ",
    "<box_p></box_p><LOC_BEGIN><LOC_1><LOC_2><LOC_3><LOC_4><LOC_END>",
  ])("reports %s", (text) => {
    expect(parsePlan(text)).toEqual({ objects: [], malformed: [text] });
  });

  test("keep the good box of an object with a bad one", () => {
    const text = "<box_p> dog </box_p><LOC_BEGIN><LOC_1><LOC_2><LOC_3><LOC_4><LOC_END><LOC_BEGIN><LOC_1>";
    expect(parsePlan(text)).toEqual({ objects: [{ phrase: "dog", boxes: [[1, 2, 3, 4]] }], malformed: [text] });
  });
});
