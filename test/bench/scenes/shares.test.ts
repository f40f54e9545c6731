import { describe, expect, it } from "vitest";
import { gainOf, type Outcome, sharesOf } from "../../../bench/scenes/shares.ts";

const KINDS = ["a", "b", "c"];

/** `n` outcomes of a kind, the first `right` of them right; each in a group of its own. */
function outcomes(kind: string, n: number, right: number, split: Outcome["split"] = "seen"): Outcome[] {
  return Array.from({ length: n }, (_, i) => ({ kind, split, group: kind.charCodeAt(0) * 1000 + i, right: i < right }));
}

describe("shares", () => {
  it("weigh kinds, not outcomes, and leave out kinds that do not occur", () => {
    const all = [...outcomes("a", 10, 10), ...outcomes("b", 30, 15, "held_out")];
    const { score, kinds, n, seen, held_out } = sharesOf(all, KINDS);
    expect([score, kinds, n]).toEqual([0.75, { a: 1, b: 0.5 }, 40]);
    expect([seen.score, seen.kinds, seen.interval]).toEqual([1, { a: 1 }, [1, 1]]);
    expect([held_out.score, held_out.n]).toEqual([0.5, 30]);
    expect(held_out.interval[0]).toBeGreaterThan(0.25);
    expect(held_out.interval[1]).toBeLessThan(0.75);
  });

  it("of nothing are unknown", () => {
    expect(sharesOf([], KINDS)).toMatchObject({ score: null, interval: [0, 1], kinds: {}, n: 0 });
  });

  it("of groups are less sure than their number says", () => {
    const together = outcomes("a", 100, 50).map((own, i) => ({ ...own, group: Math.floor(i / 10) }));
    const width = ([low, high]: readonly [number, number]) => high - low;
    expect(width(sharesOf(together, KINDS).interval)).toBeGreaterThan(
      2 * width(sharesOf(outcomes("a", 100, 50), KINDS).interval),
    );
  });
});

describe("a gain", () => {
  it("is of pairs: where each rises, there is no doubt", () => {
    expect(gainOf(outcomes("a", 20, 0), outcomes("a", 20, 20), KINDS)).toEqual({ gain: 1, gain_interval: [1, 1] });
    const { gain, gain_interval: [low, high] } = gainOf(outcomes("a", 20, 10), outcomes("a", 20, 12), KINDS);
    expect(gain).toBeCloseTo(0.1, 9);
    expect([low >= 0, high < 0.3]).toEqual([true, true]);
  });

  it("is refused where there are no pairs", () => {
    expect(() => gainOf(outcomes("a", 2, 0), outcomes("a", 3, 0), KINDS)).toThrow(/no pairs/);
  });
});
