/** A thread that holds an engine, as the inference thread does. */
import { type EngineOptions, openEngine } from "../../../../core/engine/choose.ts";
import { serveThread } from "../../../../core/engine/thread_serve.ts";
import type { Engine } from "../../../../core/engine/types.ts";
import { heavy } from "../graphs.ts";

let engine: Engine | undefined;

const handlers = {
  async open(options: EngineOptions) {
    engine = await openEngine(options);
    return engine.info;
  },
  /** Multiplies for at least `ms` milliseconds; returns the number of runs. */
  async compute(ms: number, layers: number) {
    if (engine === undefined) throw new Error("open first");
    const session = await engine.load(await heavy(layers));
    const x = { dtype: "float32", dims: [512, 512], data: new Float32Array(512 * 512).fill(1) } as const;
    const end = performance.now() + ms;
    let runs = 0;
    while (performance.now() < end) {
      await session.run({ x }, ["y"]);
      runs++;
    }
    await session.release();
    return runs;
  },
};

export type Compute = typeof handlers;
serveThread(handlers, () => engine?.close());
