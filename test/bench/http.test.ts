import { expect, test } from "vitest";
import { summary } from "../../bench/lib/added_by_http.ts";
import { RequestWatch } from "../../bench/lib/request_watch.ts";
import type { Codec } from "../../core/image/codec_thread.ts";
import type { RemoteInference } from "../../core/tasks/remote.ts";

const parts = { before: 3, engine: 100, between: 1, file: 8, after: 2 };

test("what HTTP adds to a run, and both to the engine and the file, are medians of pairs, with their spread", () => {
  // A slow machine slows both sides of a pair: medians of each side would differ by more.
  const pairs = [4, 6, 5, 7, 90].map((added, i) => {
    const engine = 400 + 100 * i;
    return { engine, file: 8, run: engine + 8 + added / 2, request: engine + 8 + added, parts };
  });
  const { http_ms, added_ms, added_with_file_ms, added_p50_interval_ms, engine_ms, parts_ms } = summary(pairs);
  expect(http_ms).toEqual({ p50: 3, p25: 2.5, p75: 3.5, minimum: 2 });
  expect(added_ms).toEqual({ p50: 6, p25: 5, p75: 7, minimum: 4 });
  expect(added_with_file_ms.p50).toBe(14);
  expect(added_p50_interval_ms).toEqual([4, 90]);
  expect(engine_ms.p50).toBe(600);
  expect(parts_ms).toEqual(parts);
});

test("a request's parts are told by the calls of its run and sum up to the whole; the engine's own draws are not seen", async () => {
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const steps = {
    open: () => Promise.resolve({ step: () => pause(30), close: () => Promise.resolve() }),
    result: () => pause(20),
  };
  const inference = { steps, draw: () => pause(1) } as unknown as RemoteInference;
  const watch = new RequestWatch(inference, { encode: () => pause(10) } as unknown as Codec);
  const start = watch.start();
  await pause(40);
  const open = await watch.inference.steps?.open({});
  await open?.step();
  await pause(50);
  await watch.inference.steps?.result({});
  await watch.codec.encode({ width: 1, height: 1, data: new Uint8Array(3) }, "png");
  const whole = performance.now() - start;
  const told = watch.parts(start, whole);
  expect(told.before).toBeGreaterThanOrEqual(39);
  expect(told.engine).toBeGreaterThanOrEqual(49);
  expect(told.between).toBeGreaterThanOrEqual(49);
  expect(told.file).toBeGreaterThanOrEqual(9);
  expect(Object.values(told).reduce((sum, part) => sum + part, 0)).toBeCloseTo(whole, 6);
  const again = watch.start();
  await watch.inference.draw({ prompt: "a dog", seed: 1 });
  expect(() => watch.parts(again, 1)).toThrow("did not ask the engine");
});
