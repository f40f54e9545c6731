import { expect, test } from "vitest";
import { Semaphore } from "../../../core/tasks/turns.ts";

const soon = () => new Promise((resolve) => setTimeout(resolve, 1));

test("two holders of one place alternate, turn by turn", async () => {
  const place = new Semaphore(1);
  const log: string[] = [];
  const worker = async (name: string) => {
    for (let turn = 0; turn < 4; turn++) {
      await place.hold(async () => {
        log.push(name);
        await soon();
      });
    }
  };
  await Promise.all([worker("a"), worker("b"), worker("c")]);
  expect(log.join("")).toBe("abcabcabcabc");
});

test("never more inside than there are places", async () => {
  const places = new Semaphore(3);
  let [inside, most] = [0, 0];
  await Promise.all(Array.from({ length: 20 }, () =>
    places.hold(async () => {
      most = Math.max(most, ++inside);
      await soon();
      inside--;
    })));
  expect(most).toBe(3);
});

test("a failure frees the place; an abort leaves the queue and takes nobody's turn", async () => {
  const place = new Semaphore(1);
  await expect(place.hold(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  const gate = Promise.withResolvers<void>();
  const first = place.hold(() => gate.promise);
  const controller = new AbortController();
  let ran = false;
  const second = place.hold(() => Promise.resolve(ran = true), controller.signal);
  const third = place.hold(() => Promise.resolve("third"));
  controller.abort(new Error("gone"));
  await expect(second).rejects.toThrow("gone");
  gate.resolve();
  await first;
  expect(await third).toBe("third");
  expect(ran).toBe(false);
  await expect(place.hold(soon, controller.signal)).rejects.toThrow("gone");
  // A late abort of a holder that is in takes nothing back.
  const late = new AbortController();
  expect(await place.hold(() => Promise.resolve(late.abort()), late.signal)).toBeUndefined();
  expect(await place.hold(() => Promise.resolve(1))).toBe(1);
});
