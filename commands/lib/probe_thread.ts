/**
 * The inside of doctor's threads: opens one provider, has it compute the proof graph, says what came out.
 *
 * @module
 */
import { type EngineOptions, openEngine } from "../../core/engine/choose.ts";
import { prove } from "../../core/engine/proof.ts";
import { serveThread } from "../../core/engine/thread_serve.ts";

const handlers = {
  /** Opening already proves; the second time is what a warm engine takes. */
  async probe(options: EngineOptions) {
    const start = performance.now();
    const engine = await openEngine(options);
    const opened = performance.now();
    const maxError = await prove(engine);
    const end = performance.now();
    await engine.close();
    return { info: engine.info, maxError, openSeconds: (opened - start) / 1000, runSeconds: (end - opened) / 1000 };
  },
};

export type ProbeHandlers = typeof handlers;
serveThread(handlers);
