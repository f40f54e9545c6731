import { expect, test } from "vitest";
import { StepsAhead } from "../../../core/tasks/steps_ahead.ts";
import type { Delta } from "../../../core/tasks/task.ts";
import { Semaphore } from "../../../core/tasks/turns.ts";

const LAST = 3;

/** Steps that end when they are told to. */
class Told {
  readonly begun: number[] = [];
  readonly ends: PromiseWithResolvers<void>[] = [];
  closed = false;
  #done = 0;

  async step(): Promise<Delta | null> {
    const number = this.#done + 1;
    this.begun.push(number);
    const end = Promise.withResolvers<void>();
    this.ends.push(end);
    await end.promise;
    if (number > LAST) return null;
    this.#done = number;
    return { step: number, positions: new Uint32Array(), ids: new Uint32Array() };
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** Promises that are settled have settled their followers. */
const soon = () => new Promise((resolve) => setTimeout(resolve, 5));

function ahead() {
  const [told, turn] = [new Told(), new Semaphore(1)];
  return { told, turn, steps: new StepsAhead(told, (work, signal) => turn.hold(work, signal)) };
}

test("the next step is begun when the one before it is there, once, and all of them come in order", async () => {
  const { told, steps } = ahead();
  const first = steps.step();
  expect(told.begun).toEqual([1]);
  told.ends[0]?.resolve();
  expect(await first).toMatchObject({ step: 1 });
  await soon();
  expect(told.begun).toEqual([1, 2]);
  told.ends[1]?.resolve();
  await soon();
  // No further than one.
  expect(told.begun).toEqual([1, 2]);
  expect(await steps.step()).toMatchObject({ step: 2 });
  await soon();
  told.ends[2]?.resolve();
  expect(await steps.step()).toMatchObject({ step: 3 });
  await soon();
  told.ends[3]?.resolve();
  expect(await steps.step()).toBeNull();
  await soon();
  expect(told.begun).toEqual([1, 2, 3, 4]);
});

test("a step that fails ahead tells whoever asks for it, and may be tried again", async () => {
  const { told, steps } = ahead();
  const first = steps.step();
  told.ends[0]?.resolve();
  await first;
  await soon();
  told.ends[1]?.reject(new Error("lost"));
  await expect(steps.step()).rejects.toThrow("lost");
  const again = steps.step();
  await soon();
  told.ends[2]?.resolve();
  expect(await again).toMatchObject({ step: 2 });
});

test("a close waits for a step at work, and takes no step that waits for its turn", async () => {
  const busy = ahead();
  const first = busy.steps.step();
  busy.told.ends[0]?.resolve();
  await first;
  await soon();
  const closing = busy.steps.close();
  await soon();
  expect(busy.told.closed).toBe(false);
  busy.told.ends[1]?.resolve();
  await closing;
  expect(busy.told.closed).toBe(true);

  const waiting = ahead();
  const one = waiting.steps.step();
  const other = Promise.withResolvers<void>();
  const held = waiting.turn.hold(() => other.promise);
  waiting.told.ends[0]?.resolve();
  await one;
  await waiting.steps.close();
  expect(waiting.told).toMatchObject({ closed: true, begun: [1] });
  other.resolve();
  await held;
  await soon();
  expect(waiting.told.begun).toEqual([1]);
});
