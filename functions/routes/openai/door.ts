/**
 * What the doors in OpenAI's shape are made of, and what they have in common.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Context } from "hono";
import { UnmaskError } from "../../../core/errors.ts";
import type { RunRecord } from "../../../core/runs/record.ts";
import type { Accepted, RunRequest } from "../../../core/runs/acceptance.ts";
import type { EncodeOutput, StepEngine } from "../../../core/runs/step_engine.ts";
import { idempotencyKeyOf } from "../../middleware/idempotency.ts";
import type { Limits } from "../../middleware/limits.ts";
import { ownerOf } from "../../middleware/owner.ts";
import { preference } from "../../middleware/prefer.ts";
import type { Environment } from "../../middleware/request_id.ts";
import type { ProtocolDoor } from "../protocol_door.ts";
import type { Readiness } from "../readiness.ts";
import type { FetchPicture } from "./chat_messages.ts";
import { requireStreamRoom } from "../stream_room.ts";
import { settled } from "../waiting.ts";

export interface OpenAIDoor extends ProtocolDoor {
  /** Makes previews; null on a front that computes nothing. */
  readonly engine: StepEngine | null;
  readonly encode: EncodeOutput;
  /** Fetches pictures that clients name by address; absent: none are fetched. */
  readonly fetchPicture?: FetchPicture;
}

/** What every handler is given. */
export interface OpenAIRoute {
  /** May still be opening: a request waits for it. */
  readonly opening: Promise<OpenAIDoor>;
  readonly readiness: Readiness;
  readonly limits: Limits;
}

/** Runs of one request, each already in the queue. */
export interface Asked {
  readonly accepted: readonly Accepted[];
  /** They go on when the caller leaves. */
  readonly keep: boolean;
}

/**
 * Queues a run for each request, or none: if one is refused, those before it are cancelled.
 *
 * @param streamed the answer is to be a stream, and is refused before there is a run if there is no room for it
 */
export async function ask(
  context: Context<Environment>,
  { runs }: OpenAIDoor,
  requests: readonly RunRequest[],
  streamed = false,
): Promise<Asked> {
  const owner = ownerOf(context);
  if (streamed) requireStreamRoom(runs, owner);
  const { keep } = preference(context.req.header("prefer"));
  const key = idempotencyKeyOf(context);
  const accepted: Accepted[] = [];
  try {
    for (const [index, request] of requests.entries()) {
      // Several runs of one request need keys of their own.
      const own = key === undefined || index === 0 ? key : `${key} ${index}`;
      accepted.push(await runs.create(owner, request, own));
    }
  } catch (refusal) {
    await cancelAll(runs, accepted);
    throw refusal;
  }
  return { accepted, keep };
}

/**
 * The runs at their ends. A caller that leaves cancels them, unless it asked to keep them; a run that fails cancels the
 * others.
 */
export async function finished(
  context: Context<Environment>,
  door: OpenAIDoor,
  { accepted, keep }: Asked,
): Promise<readonly RunRecord[]> {
  try {
    return await Promise.all(accepted.map(async (each) => {
      const record = await settled(context, door, { wait: null, keep }, each);
      if (record.state !== "succeeded") throw failureOf(record);
      return record;
    }));
  } catch (failure) {
    if (!context.req.raw.signal.aborted) await cancelAll(door.runs, accepted);
    throw failure;
  }
}

export async function cancelAll(runs: OpenAIDoor["runs"], accepted: readonly Accepted[]): Promise<void> {
  for (const { record, attached } of accepted) if (!attached) await runs.cancel(record.owner, record.id);
}

/** Codes with which a worker, not the request, is at fault. */
const OUR_FAULT = ["internal_error", "worker_lost", "run_unreadable", "codec_unavailable"];

/** Why there is no result, as an error to answer with. */
export function failureOf({ state, error, id }: RunRecord): UnmaskError {
  if (state === "failed" && error !== null) {
    const { code, message, fix, param } = error;
    const status = OUR_FAULT.includes(code) ? 500 : 400;
    return new UnmaskError({ code, message, fix, status, ...(param === undefined ? {} : { param }) });
  }
  if (state === "cancelled" || state === "expired") {
    return new UnmaskError({
      code: `run_${state}`,
      message: `this run was ${state === "cancelled" ? "cancelled" : "not done before its deadline"}`,
      fix: "send the request again",
      status: state === "cancelled" ? 409 : 504,
    });
  }
  return new UnmaskError({
    code: "server_stopping",
    message: "this server is stopping, and the run goes on in the next one",
    fix: `look for it at /v1/runs/${id}`,
    status: 503,
    retryAfter: 5,
  });
}

/** A seed for a request without one: its own with an idempotency key, so that a retry asks for the same; else chance. */
export function seedFor(context: Context<Environment>): number {
  const key = idempotencyKeyOf(context);
  if (key === undefined) return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return createHash("sha256").update(`${ownerOf(context)} ${key}`).digest().readUInt32LE();
}

export function refuseModel(model: string | null | undefined, served: string): void {
  if (model == null || model === served) return;
  throw new UnmaskError({
    code: "model_not_found",
    message: "this server does not serve that model",
    fix: `leave model out, or use ${served}`,
    param: "model",
    status: 404,
  });
}
