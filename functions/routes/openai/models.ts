/**
 * `/v1/models`: the one model that is served, and what it can do.
 *
 * @module
 */
import type { Context } from "hono";
import { UnmaskError } from "../../../core/errors.ts";
import type { Environment } from "../../middleware/request_id.ts";
import type { Readiness } from "../readiness.ts";
import type { OpenAIDoor, OpenAIRoute } from "./door.ts";

const NO_STORE = { "cache-control": "no-store" };

export async function listModels(
  context: Context<Environment>,
  { opening, readiness }: OpenAIRoute,
): Promise<Response> {
  return context.json({ object: "list", data: [cardOf(await opening, readiness)] }, 200, NO_STORE);
}

/** @throws `model_not_found` (404) */
export async function showModel(context: Context<Environment>, { opening, readiness }: OpenAIRoute): Promise<Response> {
  const door = await opening;
  if (context.req.param("id") === door.model) return context.json(cardOf(door, readiness), 200, NO_STORE);
  throw new UnmaskError({
    code: "model_not_found",
    message: "this server does not serve that model",
    fix: `use ${door.model}`,
    param: "model",
    status: 404,
  });
}

function cardOf({ model, runs }: OpenAIDoor, readiness: Readiness) {
  const { info } = readiness;
  return {
    id: model,
    object: "model",
    // When this server began to serve it: a model folder has no date.
    created: Math.floor(readiness.report().startedAt / 1000),
    owned_by: "unmask",
    unmask: {
      tasks: info?.tasks ?? runs.kinds.map(({ name }) => name),
      image_size: info?.imageSize ?? null,
    },
  };
}
