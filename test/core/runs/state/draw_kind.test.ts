import { describe, expect, test } from "vitest";
import { drawKind } from "../../../../core/runs/state/draw_kind.ts";
import { mergeCounts, stepsWithin } from "../../../../core/runs/state/budget.ts";
import { positionsOfBoxes, positionsOfMask } from "../../../../core/image/region.ts";
import { budgetOf, pictureOf } from "../../../../core/runs/state/kind.ts";
import { idsAt, paintFlat } from "../../../../core/runs/state/timeline.ts";
import { createDraw } from "../../../../core/tasks/draw.ts";
import type { DrawInput } from "../../../../core/tasks/draw_input.ts";
import type { DrawState } from "../../../../core/tasks/draw_state.ts";
import { cutBack, maskedPositions } from "../../../../core/tasks/sequence.ts";
import { loadModel } from "../../../../core/tasks/thread_handlers.ts";
import { fakeModel } from "../../tasks/fake_model.ts";
import { statesFrom } from "../steps.ts";

const model = fakeModel();
const task = createDraw();
const picture = pictureOf(drawKind);
const input: DrawInput = { prompt: "a dog", seed: 11, steps: 9, temperature: 1 };
const start = (changes: Partial<DrawInput> = {}) => task.start({ ...input, ...changes }, model);
const last = (states: readonly DrawState[]) => states.at(-1) as DrawState;
const stepped = async (state: DrawState) => (await statesFrom(task, state, model))[1];

describe("every k", () => {
  test.each(["stratified", "halton", "random", "confidence"] as const)(
    "%s: decode(encode(state k)) and one step is state k + 1",
    async (order) => {
      const states = await statesFrom(task, start({ order }), model);
      expect(states).toHaveLength(10);
      for (let k = 0; k < states.length - 1; k++) {
        const decoded = drawKind.decode(drawKind.encode(states[k] as DrawState));
        expect(await stepped(decoded), `k = ${k}`).toEqual(states[k + 1]);
      }
    },
  );

  test("the embedded model: one step, and all the rest, from every k", async () => {
    const { model, draw, engine } = await loadModel({ modelFolder: "models/scenes", provider: "cpu", threads: 1 });
    try {
      const from = draw.start({ prompt: "a photo of a dog", seed: 5, steps: 6 }, model);
      const states = await statesFrom(draw, from, model);
      for (let k = 0; k < states.length - 1; k++) {
        const decoded = drawKind.decode(drawKind.encode(states[k] as DrawState));
        const rest = await statesFrom(draw, decoded, model);
        expect(rest[1], `k = ${k}`).toEqual(states[k + 1]);
        expect(last(rest), `k = ${k}`).toEqual(last(states));
      }
    } finally {
      await model.close();
      await engine.close();
    }
  });
});

describe("fork", () => {
  test("takes another plan for what is still masked", async () => {
    const parent = last(await statesFrom(task, start(), model));
    const plan: DrawInput["plan"] = [{ label: "dog", xyxy: [0, 0, 64, 64] }];
    const ends = await Promise.all([{}, { plan }].map(async (changes) => {
      const forked = drawKind.decode(drawKind.encode(picture.fork(start(changes), parent, 4) as DrawState));
      return last(await statesFrom(task, forked, model));
    }));
    for (const { sequence } of ends) expect(cutBack(sequence, 4)).toEqual(cutBack(parent.sequence, 4));
    expect(ends.map(({ settings }) => settings.plan !== undefined)).toEqual([false, true]);
    expect(ends[1]?.sequence.ids).not.toEqual(ends[0]?.sequence.ids);
  });

  test("equals its parent up to k and differs after it", async () => {
    const states = await statesFrom(task, start(), model);
    for (let k = 0; k < 9; k++) {
      const forked = picture.fork(start({ seed: 12 }), last(states), k) as DrawState;
      expect(forked.sequence).toEqual((states[k] as DrawState).sequence);
      expect(forked.step + forked.counts.length).toBe(9);
      expect(drawKind.decode(drawKind.encode(forked))).toEqual(forked);
      const end = last(await statesFrom(task, forked, model));
      expect(cutBack(end.sequence, k)).toEqual(cutBack(last(states).sequence, k));
      expect(end.sequence.ids).not.toEqual(last(states).sequence.ids);
    }
  });

  test("takes more steps, fewer steps, and a running parent; refuses what is not there", () => {
    const parent = start();
    expect((picture.fork(start({ steps: 20 }), parent, 0) as DrawState).counts).toHaveLength(20);
    const refused = expect.objectContaining({ code: "fork_out_of_range" });
    for (const k of [1, -1, 0.5]) expect(() => picture.fork(start(), parent, k)).toThrow(refused);
  });

  test("refuses a fork into fewer steps than are done, and another grid", async () => {
    const states = await statesFrom(task, start(), model);
    expect(() => picture.fork(start({ steps: 4 }), last(states), 4)).toThrow(
      expect.objectContaining({ code: "fork_out_of_range" }),
    );
    const other = { ...last(states), sequence: { ...last(states).sequence, maskId: 9 } };
    expect(() => picture.fork(start(), other, 4)).toThrow(expect.objectContaining({ code: "parent_of_another_model" }));
  });
});

describe("redraw", () => {
  test("leaves every token outside its region as it was", async () => {
    const parent = last(await statesFrom(task, start(), model));
    const region = positionsOfBoxes([[16, 16, 64, 48]], 8, 16);
    expect(region).toHaveLength(6);
    const state = picture.redraw(start({ seed: 77, steps: 4 }), parent, region) as DrawState;
    expect([...maskedPositions(state.sequence)]).toEqual([...region]);
    const end = last(await statesFrom(task, drawKind.decode(drawKind.encode(state)), model));
    expect(end.step).toBe(5);
    const inside = new Set(region);
    for (let at = 0; at < 64; at++) if (!inside.has(at)) expect(end.sequence.ids[at]).toBe(parent.sequence.ids[at]);
    expect(end.sequence.ids).not.toEqual(parent.sequence.ids);
  });

  test("refuses an unfinished parent and an empty region", async () => {
    const states = await statesFrom(task, start(), model);
    expect(() => picture.redraw(start(), start(), Uint32Array.of(1))).toThrow(
      expect.objectContaining({ code: "redraw_too_early" }),
    );
    for (const region of [Uint32Array.of(), Uint32Array.of(64)]) {
      expect(() => picture.redraw(start(), last(states), region)).toThrow(
        expect.objectContaining({ code: "region_empty" }),
      );
    }
  });

  test("boxes touch positions, masks light them", () => {
    expect([...positionsOfBoxes([[0, 0, 1, 1], [31, 17, 33, 18]], 4, 16)]).toEqual([0, 5, 6]);
    const data = new Uint8Array(64 * 64 * 3);
    data[(20 * 64 + 40) * 3 + 1] = 200;
    expect([...positionsOfMask({ width: 64, height: 64, data }, 4, 16)]).toEqual([6]);
  });
});

describe("budget", () => {
  test("merged counts keep their sum, are whole in time, and a replay of them is exact", async () => {
    for (const steps of [1, 2, 3, 5, 9, 20]) {
      const { counts } = start();
      const merged = mergeCounts(counts, steps);
      expect(merged).toHaveLength(Math.min(steps, 9));
      expect(merged.reduce((a, b) => a + b)).toBe(64);
    }
    const states = await statesFrom(task, start(), model);
    const at3 = states[3] as DrawState;
    const merged = budgetOf(drawKind).withCounts(at3, mergeCounts(at3.counts, 2)) as DrawState;
    const end = last(await statesFrom(task, drawKind.decode(drawKind.encode(merged)), model));
    expect(end.step).toBe(5);
    expect(end).toEqual(last(await statesFrom(task, merged, model)));
    expect(() => budgetOf(drawKind).withCounts(at3, [1])).toThrow(RangeError);
  });

  test("at least one step fits, whatever the time", () => {
    expect(stepsWithin(1000, 90, 100)).toBe(10);
    expect(stepsWithin(-5, 90, 100)).toBe(1);
  });
});

test("the timeline fills what is masked and paints it flat", async () => {
  const { sequence } = last(await statesFrom(task, start(), model));
  const { ids, masked } = idsAt(sequence, 3, 7);
  sequence.revealedAt.forEach((at, position) => {
    expect(ids[position]).toBe(at > 3 ? 7 : sequence.ids[position]);
    expect(masked.includes(position)).toBe(at > 3);
  });
  const painted = paintFlat({ width: 16, height: 16, data: new Uint8Array(16 * 16 * 3) }, Uint32Array.of(9), 64);
  const flat = [...painted.data.keys()].filter((i) => painted.data[i] === 128);
  expect(flat).toHaveLength(12);
  expect(flat[0]).toBe((2 * 16 + 2) * 3);
});
