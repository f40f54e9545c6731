/**
 * What the routes are given, from a house with an engine or from a front without one.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import type { Picture } from "../core/model/types.ts";
import type { ApiKeys } from "../core/runs/api_keys.ts";
import type { Front } from "../core/runs/front.ts";
import type { House } from "../core/runs/house.ts";
import type { EncodeOutput } from "../core/runs/step_engine.ts";
import type { Hook } from "../core/runs/webhooks/inbound.ts";
import type { HooksDoor } from "./routes/hooks.ts";
import type { FetchPicture } from "./routes/openai/chat_messages.ts";
import type { OpenAIDoor } from "./routes/openai/door.ts";
import type { RunsDoor } from "./routes/runs.ts";

export interface DoorOptions {
  readonly model: string;
  readonly baseUrl?: string | null;
  /** Pixels a side; absent where no model is loaded. */
  readonly imageSize?: number;
  /** Absent on a front, which has no pixels. */
  readonly encode?: EncodeOutput;
  readonly decode?: (bytes: Uint8Array) => Promise<Picture>;
  readonly hooks?: readonly Hook[];
  readonly closing?: AbortSignal;
  /** Absent: no pictures are fetched from addresses. */
  readonly fetchPicture?: FetchPicture;
}

export interface Doors {
  readonly runs: RunsDoor;
  readonly hooks: HooksDoor;
  readonly protocols: OpenAIDoor;
  readonly keys: ApiKeys;
}

export function doorsOf(from: House | Front, options: DoorOptions): Doors {
  const { model, baseUrl = null, imageSize = null, encode = noCodec, decode = noCodec, hooks = [], fetchPicture } =
    options;
  const { runs, links, keys } = from;
  const house = "worker" in from ? from : null;
  const engine = house?.engine ?? null;
  const closing = options.closing === undefined ? {} : { closing: options.closing };
  return {
    runs: { runs, engine, encode, decode, imageSize, ...closing },
    hooks: { runs, hooks, ...(house === null ? {} : { onReplay: () => house.dispatcher.wake() }) },
    protocols: {
      runs,
      engine,
      encode,
      links,
      model,
      baseUrl,
      ...(fetchPicture === undefined ? {} : { fetchPicture }),
      ...(house === null ? {} : { busy: () => house.worker.active >= house.worker.slots }),
      ...closing,
    },
    keys,
  };
}

function noCodec(): Promise<never> {
  return Promise.reject(
    new UnmaskError({
      code: "no_engine",
      message: "this server computes nothing itself, and reads no pictures",
      fix: "ask a server that has a model",
      status: 501,
    }),
  );
}
