/**
 * Every task's state as bytes: decoded and stepped once, each state is the next one exactly; from the borders of phases
 * and from five seeded steps, all that follows is the same. Over tables of numbers that answer to every bit of a state.
 */
import { describe, expect, test } from "vitest";
import { answerKind } from "../../../../core/runs/state/answer_kind.ts";
import { drawKind } from "../../../../core/runs/state/draw_kind.ts";
import { editKind } from "../../../../core/runs/state/edit_kind.ts";
import { groundKind } from "../../../../core/runs/state/ground_kind.ts";
import { type Kind, pictureOf } from "../../../../core/runs/state/kind.ts";
import { reflectKind } from "../../../../core/runs/state/reflect_kind.ts";
import { planKind } from "../../../../core/runs/state/plan_kind.ts";
import { refineKind } from "../../../../core/runs/state/refine_kind.ts";
import type { Model } from "../../../../core/model/types.ts";
import { createAnswer } from "../../../../core/tasks/answer.ts";
import { createDraw } from "../../../../core/tasks/draw.ts";
import type { DrawState } from "../../../../core/tasks/draw_state.ts";
import { createEdit, type EditState } from "../../../../core/tasks/edit.ts";
import { createGround } from "../../../../core/tasks/ground.ts";
import { createPlan } from "../../../../core/tasks/plan.ts";
import { createReflect } from "../../../../core/tasks/reflect.ts";
import type { ReflectState } from "../../../../core/tasks/reflect_state.ts";
import { createRefine } from "../../../../core/tasks/refine.ts";
import { cutBack } from "../../../../core/tasks/sequence.ts";
import type { Sequence, Task } from "../../../../core/tasks/task.ts";
import { picture, seeingModel } from "../../tasks/seeing_model.ts";

/** Every state from `from` to the last, on a model of its own. */
async function statesOf<I, S, R, D>(
  task: Task<I, S, R, Model, D>,
  from: S,
  model: () => Model = seeingModel,
): Promise<S[]> {
  const stepper = await task.open(from, model());
  const states = [from];
  try {
    let state = from;
    for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) {
      state = task.fold(state, delta);
      states.push(state);
    }
  } finally {
    stepper.close();
  }
  return states;
}

/** One step from a state, on a model of its own. */
async function next<I, S, R, D>(task: Task<I, S, R, Model, D>, from: S, model: () => Model): Promise<S> {
  const stepper = await task.open(from, model());
  try {
    const delta = await stepper.step();
    if (delta === null) throw new Error("there is no step left");
    return task.fold(from, delta);
  } finally {
    stepper.close();
  }
}

/** Five different numbers below `length`, the same each time. */
function seeded(length: number): number[] {
  const chosen = new Set<number>();
  for (let value = 12345; chosen.size < Math.min(5, length); value = (value * 1103515245 + 12345) % 2 ** 31) {
    chosen.add(Math.floor((value / 2 ** 31) * length));
  }
  return [...chosen];
}

async function holds<I, S, R, D>(
  kind: Kind<I, S>,
  task: Task<I, S, R, Model, D>,
  start: S,
  borders: (states: readonly S[]) => readonly number[],
  model: () => Model = seeingModel,
): Promise<S[]> {
  const states = await statesOf(task, start, model);
  const copyOf = (k: number) => kind.decode(kind.encode(states[k] as S));
  for (let k = 0; k < states.length; k++) {
    expect(copyOf(k), `k = ${k}`).toStrictEqual(states[k]);
    expect(kind.done(copyOf(k)), `k = ${k}`).toBe(k === states.length - 1);
    if (k < states.length - 1) expect(await next(task, copyOf(k), model), `k = ${k}`).toStrictEqual(states[k + 1]);
  }
  const from = new Set([0, ...borders(states), ...seeded(states.length - 1)]);
  for (const k of from) {
    expect(await statesOf(task, copyOf(k), model), `from ${k}`).toStrictEqual(states.slice(k));
  }
  return states;
}

const none = () => [];

/** Plans and verdicts in a few words, never content. */
const reflecting = () =>
  seeingModel({
    says: (asked) =>
      asked.includes("Please first think")
        ? "a <box_p> dog </box_p><LOC_BEGIN><LOC_4><LOC_8><LOC_20><LOC_24><LOC_END><|reserved_token_7|>"
        : "no",
  });

describe("every k", () => {
  test.each(["stratified", "confidence"] as const)("draw, %s", async (order) => {
    const task = createDraw();
    const input = { prompt: "a dog", seed: 4, steps: 12, order, temperature: 0.9 };
    await holds(drawKind, task, task.start(input, seeingModel()), none);
  });

  test.each(
    [
      ["with a picture, warm", { picture: picture(), temperature: 0.7, seed: 8 }],
      ["without one, shifted", { schedule: "shift", shift: 2, stepsPerBlock: 3 }],
    ] as const,
  )("answer %s: borders of blocks", async (_, options) => {
    const task = createAnswer();
    const start = task.start(
      { question: "what is it", length: 16, block: 4, earlyStop: false, ...options },
      seeingModel(),
    );
    const states = await holds(answerKind, task, start, (states) => {
      const perBlock = start.text.settings.stepsPerBlock;
      return states.flatMap(({ text: { step } }, k) => (step % perBlock === 0 ? [k] : []));
    });
    expect(states.length).toBeGreaterThan(10);
  });

  test.each([1, 2])("ground, %i expressions", async (count) => {
    const task = createGround();
    const expressions = ["a dog", "a red cup"].slice(0, count);
    await holds(
      groundKind,
      task,
      task.start({ picture: picture(), expressions, steps: 6, perStep: 1 }, seeingModel()),
      none,
    );
  });

  test.each([0, 3] as const)("edit, mode %i: behind the encoding", async (mode) => {
    const task = createEdit();
    const plan = [{ label: "dog", xyxy: [0, 0, 20, 20] as [number, number, number, number] }];
    const input = {
      instruction: "make it red",
      picture: picture(),
      seed: 3,
      steps: 7,
      mode,
      plan,
      lock: "plan",
    } as const;
    const states = await holds(editKind, task, task.start(input, seeingModel()), () => [1]);
    expect(states.map(({ source }) => source !== null)).toEqual([false, ...Array(8).fill(true)]);
  });

  test.each([
    ["a drawing", { prompt: "a dog", temperature: 0.8, seed: 5 }],
    ["an edit", { instruction: "remove the dog", picture: picture(), micro: undefined }],
  ])("plan of %s", async (_, input) => {
    const task = createPlan();
    const start = task.start({ length: 12, block: 4, ...input }, seeingModel());
    expect(await holds(planKind, task, start, none)).toHaveLength(13);
  });

  test.each([
    ["planned, with feedback", { rounds: 3 }],
    ["self-verified", { rounds: 3, plan: false, feedback: false }],
    ["a plan and its picture", { rounds: 1, judge: false }],
  ])("reflection, %s: borders of phases", async (_, options) => {
    const task = createReflect(createDraw());
    const start = task.start({ prompt: "a dog", seed: 5, steps: 4, ...options }, reflecting());
    const states = await holds(
      reflectKind,
      task,
      start,
      (states) => states.flatMap(({ open }, k) => (open?.phase === states[k - 1]?.open?.phase ? [] : [k])).slice(0, -1),
      reflecting,
    );
    for (const [k, state] of states.entries()) {
      const { step, steps } = reflectKind.progress(state);
      expect(step).toBe(k);
      expect(steps).toBeGreaterThanOrEqual(k);
    }
    expect(states.at(-1)?.closed).toHaveLength(options.rounds);
  });

  test("refine: each round", async () => {
    const draw = createDraw();
    const drawn = (await statesOf(draw, draw.start({ prompt: "a dog", seed: 5, steps: 6 }, seeingModel()))).at(-1);
    const task = createRefine(draw);
    const start = task.start({ draw: drawn as DrawState, rounds: 6, share: 0.1 }, seeingModel());
    const states = await holds(refineKind, task, start, (states) => [...states.keys()].slice(0, -1));
    expect(states).toHaveLength(7);
  });
});

describe("a reflection branches from any step", () => {
  const task = createReflect(createDraw());
  const pictures = pictureOf(reflectKind as Kind);
  const start = (changes = {}) =>
    task.start({ prompt: "a dog", seed: 5, steps: 4, rounds: 2, ...changes }, reflecting());
  const endOf = async (state: ReflectState) => (await statesOf(task, state, reflecting)).at(-1) as ReflectState;

  test("into the same run where nothing is changed, into another with another seed", async () => {
    const states = await statesOf(task, start(), reflecting);
    const end = states.at(-1) as ReflectState;
    for (let k = 0; k < states.length; k++) {
      const state = states[k] as ReflectState;
      const same = pictures.fork(start(), end, k) as ReflectState;
      expect(reflectKind.progress(same).step, `k = ${k}`).toBe(k);
      // What a drawing has to come is scheduled anew.
      if (state.open?.phase !== "draw") expect(same, `k = ${k}`).toEqual(state);
      expect(pictures.fork(start(), state, k)).toEqual(same);
    }
    const k = states.findIndex(({ closed, open }) => closed.length === 1 && open?.phase === "draw") + 2;
    const other = await endOf(pictures.fork(start({ seed: 6, guidance: 2 }), end, k) as ReflectState);
    expect(other.closed[0]).toEqual(end.closed[0]);
    expect(other.closed[1]?.plan).toEqual(end.closed[1]?.plan);
    const local = 2;
    const [mine, parents] = [other, end].map(({ closed }) => closed[1]?.draw.sequence as Sequence);
    expect(cutBack(mine as Sequence, local)).toEqual(cutBack(parents as Sequence, local));
    expect(mine?.ids).not.toEqual(parents?.ids);
    expect(other.closed[1]?.draw.settings).toMatchObject({ seed: 6, guidance: 2 });
  });

  test("into more rounds, behind the last", async () => {
    const end = await endOf(start());
    const { step } = reflectKind.progress(end);
    const more = await endOf(pictures.fork(start({ rounds: 3 }), end, step) as ReflectState);
    expect(more.closed).toHaveLength(3);
    expect(more.closed.slice(0, 2)).toEqual(end.closed);
    expect(pictures.fork(start(), end, step)).toMatchObject({ open: null });
  });

  test("with a picture as of each step, counted through the run", async () => {
    const states = await statesOf(task, start(), reflecting);
    const end = states.at(-1) as ReflectState;
    for (const [k, { open, closed }] of states.entries()) {
      const now = cutBack(pictures.sequence(end, k), k).ids;
      const drawing = open !== null && open.phase !== "plan" ? open.draw.step : 0;
      const drawn = open !== null && open.phase !== "plan" && drawing > 0 ? open.draw : closed.at(-1)?.draw;
      if (drawn === undefined) expect(now.every((id) => id === end.fresh.sequence.maskId), `k = ${k}`).toBe(true);
      else expect(now, `k = ${k}`).toEqual(drawn.sequence.ids);
    }
    expect(pictures.sequence(end).ids).toEqual(end.closed.at(-1)?.draw.sequence.ids);
    expect(Math.max(...pictures.sequence(end).revealedAt)).toBeLessThanOrEqual(states.length - 1);
  });

  test("but not out of its range, into other phases, or as a redraw", async () => {
    const end = await endOf(start());
    const { step } = reflectKind.progress(end);
    const code = (code: string) => expect.objectContaining({ code });
    for (const k of [step + 1, -1, 0.5]) {
      expect(() => pictures.fork(start(), end, k)).toThrow(code("fork_out_of_range"));
    }
    expect(() => pictures.fork(start({ rounds: 1 }), end, step)).toThrow(code("fork_out_of_range"));
    expect(() => pictures.fork(start({ plan: false }), end, 2)).toThrow(code("fork_of_other_phases"));
    expect(() => pictures.fork(start({ judge: false, rounds: 1 }), end, 2)).toThrow(code("fork_of_other_phases"));
    expect(() => pictures.redraw(end, end, Uint32Array.of(1))).toThrow(code("redraw_unsupported"));
  });
});

describe("an edit branches as a draw does", () => {
  const task = createEdit();
  const pictures = pictureOf(editKind as Kind);
  const input = { instruction: "make it red", picture: picture(), seed: 3, steps: 7 };
  const start = (changes = {}) => task.start({ ...input, ...changes }, seeingModel());

  test("a fork at k equals its parent up to k and differs after it", async () => {
    const parent = (await statesOf(task, start())).at(-1) as EditState;
    for (let k = 0; k < 7; k++) {
      const fork = pictures.fork(start({ seed: 12 }), parent, k) as EditState;
      expect(fork.source).toEqual(parent.source);
      const end = (await statesOf(task, editKind.decode(editKind.encode(fork)))).at(-1) as EditState;
      expect(cutBack(end.draw.sequence, k)).toEqual(cutBack(parent.draw.sequence, k));
      expect(end.draw.sequence.ids).not.toEqual(parent.draw.sequence.ids);
    }
    const other = pictures.fork(start({ picture: picture(40, 30, 9) }), parent, 2) as EditState;
    expect(other.source).toBeNull();
    expect((await statesOf(task, other)).at(-1)).toMatchObject({ source: expect.any(Uint16Array) });
  });

  test("a redraw leaves every token outside its region as it was", async () => {
    const parent = (await statesOf(task, start())).at(-1) as EditState;
    const region = Uint32Array.of(0, 1, 8, 9, 20);
    const redraw = pictures.redraw(start({ seed: 9 }), parent, region) as EditState;
    const end = (await statesOf(task, redraw)).at(-1) as EditState;
    parent.draw.sequence.ids.forEach((id, at) => {
      if (!region.includes(at)) expect(end.draw.sequence.ids[at]).toBe(id);
    });
  });
});

describe("bytes that are no state", () => {
  const kinds: readonly [Kind, unknown][] = [
    [answerKind as Kind, createAnswer().start({ question: "why", picture: picture(), length: 4 }, seeingModel())],
    [groundKind as Kind, createGround().start({ picture: picture(), expressions: ["a dog"] }, seeingModel())],
    [
      planKind as Kind,
      createPlan().start({ instruction: "no", picture: picture(), length: 4 }, seeingModel()),
    ],
    [
      reflectKind as Kind,
      createReflect(createDraw()).start({ prompt: "a dog", seed: 1, steps: 2 }, seeingModel()),
    ],
    [editKind as Kind, createEdit().start({ instruction: "no", picture: picture(), seed: 1, steps: 2 }, seeingModel())],
  ];
  test.each(kinds)("are refused with a code, wherever they are cut", (kind, state) => {
    const bytes = kind.encode(state);
    const refused = expect.objectContaining({ code: "state_unreadable" });
    for (const length of [0, 1, 3, 9, 40, bytes.length - 1]) {
      expect(() => kind.decode(bytes.subarray(0, length)), `${kind.name} ${length}`).toThrow(refused);
    }
    const other = bytes.slice();
    other[6] = (other[6] ?? 0) ^ 1;
    expect(() => kind.decode(other)).toThrow(refused);
  });
});
