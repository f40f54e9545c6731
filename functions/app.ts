/**
 * Every route on one fetch handler: `createApp(…).fetch` is all that `Deno.serve`, an edge isolate or a test needs.
 *
 * @module
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { RemoteInference } from "../core/tasks/remote.ts";
import type { EdgeApp } from "./edge.ts";
import type { Metrics } from "./observe/metrics.ts";
import { access, type AccessOptions } from "./middleware/access.ts";
import { accessLog, type Log } from "./middleware/access_log.ts";
import { methodNotAllowed, onError, onNotFound } from "./middleware/errors.ts";
import { securityHeaders } from "./middleware/headers.ts";
import { DEFAULT_LIMITS, type Limits } from "./middleware/limits.ts";
import { localOnly, type LocalOptions } from "./middleware/local.ts";
import { rateLimit, type RateOptions } from "./middleware/rate.ts";
import { type Environment, requestId } from "./middleware/request_id.ts";
import { cogRoutes } from "./routes/cog.ts";
import { filesRoutes } from "./routes/files.ts";
import { healthOf } from "./routes/health.ts";
import { type HooksDoor, hooksRoutes } from "./routes/hooks.ts";
import { keysRoutes } from "./routes/keys.ts";
import type { OpenAIDoor } from "./routes/openai/door.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { openaiRoutes } from "./routes/openai/routes.ts";
import { playground } from "./routes/playground.ts";
import { referenceRoutes } from "./routes/reference.ts";
import { Readiness } from "./routes/readiness.ts";
import { replicateRoutes } from "./routes/replicate.ts";
import { runpodRoutes } from "./routes/runpod.ts";
import { type RunsDoor, runsRoutes } from "./routes/runs.ts";

export interface AppOptions {
  /** May still be opening: `/health` then says so. Absent on a front without an engine. */
  readonly inference?: Promise<RemoteInference>;
  readonly limits?: Partial<Limits>;
  /** Who is answered. @default open to this machine alone */
  readonly access?: AccessOptions & LocalOptions & { readonly rate?: RateOptions };
  /** Runs that outlive this process; absent: the routes under /v1/runs are not there. */
  readonly runs?: Promise<RunsDoor>;
  /** Webhooks in, and the delivery log of those that went out; absent: their routes are not there. */
  readonly hooks?: Promise<HooksDoor>;
  /** Runs in the words of OpenAI, Cog, Replicate and RunPod; absent: their routes are not there. */
  readonly protocols?: Promise<OpenAIDoor>;
  /** What /metrics shows; absent: it is not there. */
  readonly metrics?: Metrics;
  /** A line for each request; absent: none. */
  readonly log?: Log;
}

/**
 * ```ts
 * const app = createApp({ inference: openInference({ modelFolder: "models/scenes" }), runs, protocols });
 * Deno.serve(app.fetch);
 * ```
 */
export function createApp(options: AppOptions): Hono<Environment> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const readiness = new Readiness(options.inference ?? options.protocols ?? Promise.resolve());

  const app = new Hono<Environment>();
  guard(app, options);
  app.get("/health", (context) => {
    const health = healthOf(readiness);
    return context.json(health, health.ready ? 200 : 503, { "cache-control": "no-store" });
  });
  app.all("/health", methodNotAllowed(["GET", "HEAD"]));
  const keys = options.access?.keys;
  if (keys !== undefined) app.route("/", keysRoutes(keys, limits));
  if (options.runs !== undefined) app.route("/", runsRoutes(options.runs, limits));
  if (options.hooks !== undefined) app.route("/", hooksRoutes(options.hooks, limits));
  if (options.protocols !== undefined) {
    app.route("/", openaiRoutes(options.protocols, readiness, limits));
    app.route("/", cogRoutes(options.protocols, readiness, limits));
    app.route("/", filesRoutes(options.protocols));
    app.route("/", replicateRoutes(options.protocols, limits));
    app.route("/", runpodRoutes(options.protocols, limits));
  }
  const { metrics } = options;
  if (metrics !== undefined) app.route("/", metricsRoutes(metrics, options.protocols));
  app.route("/", referenceRoutes());
  app.route("/", playground());
  app.notFound(onNotFound);
  app.onError(onError);
  return app;
}

/** What every request passes, in order: nothing is read of a body before the last of these. */
function guard(app: Hono<Environment>, { access: options = { policy: "open" }, metrics, log }: AppOptions): void {
  const { policy, origins = [], rate = {} } = options;
  app.use(requestId);
  if (metrics !== undefined || log !== undefined) {
    app.use(accessLog({ ...(metrics === undefined ? {} : { metrics }), ...(log === undefined ? {} : { log }) }));
  }
  app.use(securityHeaders);
  if (origins.length > 0) app.use(cors({ origin: [...origins], exposeHeaders: ["x-request-id", "retry-after"] }));
  if (policy === "open") app.use(localOnly(options));
  app.use(access(options));
  app.use(rateLimit(rate));
}

let own: Promise<EdgeApp> | undefined;

/** The app of this process's environment; see edge.ts. */
function ownApp(): Promise<EdgeApp> {
  own ??= import("./edge.ts").then(({ edgeApp, edgeSettings, environment }) => edgeApp(edgeSettings(environment)));
  return own;
}

/** A stopping process hands its runs back first; a second signal does not wait. */
async function stop(): Promise<void> {
  for (const signal of SIGNALS) Deno.removeSignalListener(signal, stop);
  await own?.then((app) => app.close()).catch((error: unknown) => console.error(String(error)));
  Deno.exit(0);
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** For `deno serve functions/app.ts`, and whatever else calls a default export's `fetch`. */
export default {
  // Opens the model or the store before the first request.
  onListen: (address) => {
    if (address.transport === "tcp") console.error(`listening on http://${address.hostname}:${address.port}`);
    for (const signal of SIGNALS) Deno.addSignalListener(signal, stop);
    ownApp().catch((error: unknown) => console.error(String(error)));
  },
  fetch: async (request: Request): Promise<Response> => await (await ownApp()).fetch(request),
} satisfies Deno.ServeDefaultExport;
