/** An inference thread whose GPU is lost at the first step, and that is then on another device: no two are alike. */
import { deviceLost } from "../../../../core/engine/ort.ts";
import { serveThread } from "../../../../core/engine/thread_serve.ts";
import { type LoadOptions, ThreadHandlers } from "../../../../core/tasks/thread_handlers.ts";

const handlers = new ThreadHandlers();
const { load } = handlers.calls;
handlers.calls.load = async (options: LoadOptions) => ({ ...await load(options), device: crypto.randomUUID() });
handlers.calls.step = () => Promise.reject(deviceLost("it was pulled out"));

serveThread(handlers.calls, handlers.shutDown);
