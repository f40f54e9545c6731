/**
 * The module of the inference thread; `remote.ts` opens it.
 *
 * @module
 */
import { serveThread } from "../engine/thread_serve.ts";
import { ThreadHandlers } from "./thread_handlers.ts";

const handlers = new ThreadHandlers();
serveThread(handlers.calls, handlers.shutDown);
