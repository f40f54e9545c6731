/**
 * Every route on one fetch handler: `createApp(…).fetch` is all that `Deno.serve`, an edge isolate or a test needs.
 *
 * @module
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { RemoteInference } from "../core/tasks/remote.ts";
import { access, type AccessOptions } from "./middleware/access.ts";
import { methodNotAllowed, onError, onNotFound } from "./middleware/errors.ts";
import { securityHeaders } from "./middleware/headers.ts";
import { DEFAULT_LIMITS, DrawGate, type Limits } from "./middleware/limits.ts";
import { localOnly, type LocalOptions } from "./middleware/local.ts";
import { rateLimit, type RateOptions } from "./middleware/rate.ts";
import { type Environment, requestId } from "./middleware/request_id.ts";
import { HealthWatch } from "./routes/health.ts";
import { type HooksDoor, hooksRoutes } from "./routes/hooks.ts";
import { type EncodePicture, generateImages } from "./routes/images.ts";
import { keysRoutes } from "./routes/keys.ts";
import { playground } from "./routes/playground.ts";
import { type RunsDoor, runsRoutes } from "./routes/runs.ts";

export interface AppOptions {
  /** May still be opening: `/health` then says so, and a draw waits for it. */
  readonly inference: Promise<RemoteInference>;
  readonly encode: EncodePicture;
  readonly limits?: Partial<Limits>;
  /** Who is answered. @default open to this machine alone */
  readonly access?: AccessOptions & LocalOptions & { readonly rate?: RateOptions };
  /** Runs that outlive this process; absent: the routes under /v1/runs are not there. */
  readonly runs?: Promise<RunsDoor>;
  /** Webhooks in, and the delivery log of those that went out; absent: their routes are not there. */
  readonly hooks?: Promise<HooksDoor>;
}

/**
 * ```ts
 * const app = createApp({ inference: openInference({ modelFolder: "models/scenes" }), encode: encodePicture });
 * Deno.serve(app.fetch);
 * ```
 */
export function createApp(options: AppOptions): Hono<Environment> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const images = { inference: options.inference, encode: options.encode, limits, gate: new DrawGate(limits) };
  const watch = new HealthWatch(options.inference);

  const app = new Hono<Environment>();
  guard(app, options.access ?? { policy: "open" });
  app.post("/v1/images/generations", (context) => generateImages(context, images));
  app.all("/v1/images/generations", methodNotAllowed(["POST"]));
  app.get("/health", (context) => {
    const health = watch.health();
    return context.json(health, health.ready ? 200 : 503, { "cache-control": "no-store" });
  });
  app.all("/health", methodNotAllowed(["GET", "HEAD"]));
  const keys = options.access?.keys;
  if (keys !== undefined) app.route("/", keysRoutes(keys, limits));
  if (options.runs !== undefined) app.route("/", runsRoutes(options.runs, limits));
  if (options.hooks !== undefined) app.route("/", hooksRoutes(options.hooks, limits));
  app.route("/", playground());
  app.notFound(onNotFound);
  app.onError(onError);
  return app;
}

/** What every request passes, in order: nothing is read of a body before the last of these. */
function guard(app: Hono<Environment>, options: NonNullable<AppOptions["access"]>): void {
  const { policy, origins = [], rate = {} } = options;
  app.use(requestId);
  app.use(securityHeaders);
  if (origins.length > 0) app.use(cors({ origin: [...origins], exposeHeaders: ["x-request-id", "retry-after"] }));
  if (policy === "open") app.use(localOnly(options));
  app.use(access(options));
  app.use(rateLimit(rate));
}
