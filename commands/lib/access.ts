/**
 * The flags that say whom a server answers, and how much of it: keys are asked for wherever others than this machine can
 * reach it.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";
import type { Flag, FlagValues } from "./flags.ts";

export const ACCESS_FLAGS = {
  auth: { kind: "text", help: "keys or open (default: keys, but open where only this machine can reach it)" },
  hostname: { kind: "text", help: "other names that the open server is called by, comma-separated" },
  origins: { kind: "text", help: "origins whose pages may call, comma-separated (default: none)" },
  "fetch-images": { kind: "switch", help: "fetch pictures that chats name by address, from public hosts alone" },
  rate: { kind: "number", help: "requests a second of one key (default: 50)" },
  runs: { kind: "number", help: "unfinished runs of one key (default: 64)" },
  queue: { kind: "number", help: "unfinished runs in all (default: 256)" },
} as const satisfies Readonly<Record<string, Flag>>;

export interface AccessChoice {
  readonly policy: "open" | "keys";
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  readonly rate: { readonly rate?: number };
  readonly admission: { readonly perOwner?: number; readonly queue?: number };
}

/** @throws {UnmaskError} `auth_unknown`, `origin_invalid`, `rate_out_of_range`, `runs_out_of_range`, `queue_out_of_range` */
export function accessOf(flags: FlagValues<typeof ACCESS_FLAGS>, host: string): AccessChoice {
  const policy = flags.auth ?? (isLoopback(host) ? "open" : "keys");
  if (policy !== "open" && policy !== "keys") {
    throw new UnmaskError({
      code: "auth_unknown",
      message: "there is no such way to answer callers",
      fix: "use --auth keys, or --auth open",
      param: "auth",
    });
  }
  const origins = listOf(flags.origins);
  const bad = origins.find((origin) => !/^https?:\/\/[^/\s]+$/.test(origin));
  if (bad !== undefined) {
    throw new UnmaskError({
      code: "origin_invalid",
      message: "an origin is a scheme and a host",
      fix: "write it as https://app.example, without a path",
      param: "origins",
    });
  }
  const { rate, runs, queue } = flags;
  if (rate !== undefined && !(rate > 0 && rate <= 100_000)) throw outOfRange("rate", "a number up to 100000");
  for (const [name, value] of [["runs", runs], ["queue", queue]] as const) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= 1_000_000)) {
      throw outOfRange(name, "a whole number from 1 to 1000000");
    }
  }
  return {
    policy,
    // What an open server was told to listen on is a name that it is called by.
    hosts: [...listOf(flags.hostname), ...(isLoopback(host) ? [] : [host.includes(":") ? `[${host}]` : host])],
    origins,
    rate: rate === undefined ? {} : { rate },
    admission: {
      ...(runs === undefined ? {} : { perOwner: runs }),
      ...(queue === undefined ? {} : { queue }),
    },
  };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function listOf(text: string | undefined): string[] {
  return (text ?? "").split(",").map((part) => part.trim()).filter((part) => part !== "");
}

function outOfRange(param: string, range: string): UnmaskError {
  return new UnmaskError({
    code: `${param}_out_of_range`,
    message: `this --${param} is not possible`,
    fix: `use ${range}`,
    param,
  });
}
