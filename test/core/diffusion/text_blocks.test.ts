import { describe, expect, test } from "vitest";
import { philoxDraws } from "../../../core/diffusion/draws.ts";
import { candidate, finishedAt, surest, textSteps } from "../../../core/diffusion/text_blocks.ts";

const draws = philoxDraws(3);
const block = new Float64Array(4);

describe("steps", () => {
  test("blocks from left to right, the remainder to a block's first steps", () => {
    expect(textSteps({ length: 8, block: 4, stepsPerBlock: 3 })).toEqual([
      { from: 0, to: 4, count: 2 },
      { from: 0, to: 4, count: 1 },
      { from: 0, to: 4, count: 1 },
      { from: 4, to: 8, count: 2 },
      { from: 4, to: 8, count: 1 },
      { from: 4, to: 8, count: 1 },
    ]);
  });

  test.each([[10, 4], [0, 4], [8, 0], [8, 2.5]])("a length of %d in blocks of %d is refused", (length, size) => {
    expect(() => textSteps({ length, block: size, stepsPerBlock: 1 })).toThrow(expect.objectContaining({
      code: "block_length_invalid",
    }));
  });
});

describe("confidence", () => {
  // Probabilities 0.5, 0.3, 0.2.
  const logits = Float32Array.from([0.5, 0.3, 0.2], Math.log);
  const entropy = -(0.5 * Math.log(0.5) + 0.3 * Math.log(0.3) + 0.2 * Math.log(0.2));

  test.each(
    [["probability", 0.5], ["margin", 0.2], ["entropy", -entropy]] as const,
  )("%s", (by, expected) => {
    const { id, confidence } = candidate(logits, 0, by, draws, 1, 0, block);
    expect(id).toBe(0);
    expect(confidence).toBeCloseTo(expected, 6);
  });

  test("with temperature it is the untempered probability of the drawn id", () => {
    const seen = new Set<number>();
    for (let position = 0; position < 60; position++) {
      const { id, confidence } = candidate(logits, 1, "probability", draws, 1, position, block);
      seen.add(id);
      expect(confidence).toBeCloseTo([0.5, 0.3, 0.2][id] ?? NaN, 6);
    }
    expect(seen.size).toBe(3);
  });

  test("random is another number at another position and step, in (0, 1)", () => {
    const at = (step: number, position: number) =>
      candidate(logits, 0, "random", draws, step, position, block).confidence;
    expect(new Set([at(1, 0), at(1, 1), at(2, 0)]).size).toBe(3);
    expect(at(1, 0)).toBe(at(1, 0));
    expect(at(1, 0)).toBeGreaterThan(0);
    expect(at(1, 0)).toBeLessThan(1);
  });

  test("the surest first, equals by place", () => {
    const list = [0.2, 0.9, 0.2, 0.5].map((confidence, id) => ({ id, confidence }));
    expect(surest(list, 3)).toEqual([1, 3, 0]);
    expect(surest(list, 0)).toEqual([]);
  });
});

describe("where an answer is finished", () => {
  const ends = new Set([7, 8]);
  test.each(
    [
      [[1, 2, 7, 0], 2],
      [[1, 0, 7, 7], undefined], // a mask is left of the end
      [[1, 2, 3], undefined],
      [[8, 0, 0], 0],
    ] as const,
  )("%j: %s", (ids, expected) => expect(finishedAt(ids, 0, ends)).toBe(expected));
});
