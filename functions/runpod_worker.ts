/**
 * The job loop of a RunPod serverless worker (field-notes A4): takes jobs from that cloud's queue, makes runs of them,
 * tells of their steps, and posts how they ended. A job that comes a second time, because its first worker vanished, finds
 * its run by the job's id and goes on where it stood.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../core/errors.ts";
import { follow } from "../core/runs/follow.ts";
import { isTerminal, type RunRecord } from "../core/runs/record.ts";
import { pause } from "../core/runs/ledger.ts";
import type { Runs } from "../core/runs/service.ts";
import { errorLine, type Json, outputOf } from "../core/runs/views/output.ts";
import { told } from "../core/runs/webhooks/shapes.ts";
import { inputSchema, requestOf } from "./routes/protocol_door.ts";

/** Where that cloud is called, from the variables that it sets in its containers. */
export interface RunpodAddresses {
  readonly take: string;
  /** `$ID` stands for the job's id. */
  readonly output: string;
  readonly stream: string | null;
  readonly ping: string | null;
  /** Sent as it is in `Authorization`. */
  readonly key: string;
  /** Ms. */
  readonly pingInterval: number;
}

export interface RunpodWorkerOptions {
  readonly runs: Runs;
  readonly addresses: RunpodAddresses;
  /** Jobs at once. */
  readonly slots: number;
  readonly log?: (line: Readonly<Record<string, unknown>>) => void;
  /** Ms between two looks when there was no job. @default {1000} */
  readonly idle?: number;
}

/** Whose the runs are in the store: the jobs bring no keys of ours. */
export const RUNPOD_OWNER = "runpod";

const jobSchema = z.object({ id: z.string().min(1).max(200), input: inputSchema });
type Job = z.infer<typeof jobSchema>;

/** Ms that a call for a job may hang: that cloud answers when there is one. */
const LONG_POLL = 90_000;
const POST_TRIES = 3;

/** @throws {UnmaskError} `runpod_not_here` */
export function runpodAddresses(env: (name: string) => string | undefined): RunpodAddresses {
  const worker = env("RUNPOD_POD_ID") ?? "";
  const address = (name: string) => {
    const value = env(name);
    if (value === undefined || value === "") return null;
    return value.replaceAll("$RUNPOD_POD_ID", encodeURIComponent(worker));
  };
  const take = address("RUNPOD_WEBHOOK_GET_JOB")?.replaceAll("$ID", encodeURIComponent(worker));
  const output = address("RUNPOD_WEBHOOK_POST_OUTPUT");
  const key = env("RUNPOD_AI_API_KEY");
  if (take === undefined || output === null || key === undefined || worker === "") {
    throw new UnmaskError({
      code: "runpod_not_here",
      message: "the variables that RunPod sets in its serverless containers are not there",
      fix:
        "run it as a serverless worker, with RUNPOD_POD_ID, RUNPOD_AI_API_KEY, RUNPOD_WEBHOOK_GET_JOB and _POST_OUTPUT",
    });
  }
  return {
    take,
    output,
    stream: address("RUNPOD_WEBHOOK_POST_STREAM"),
    ping: address("RUNPOD_WEBHOOK_PING"),
    key,
    pingInterval: Number(env("RUNPOD_PING_INTERVAL") ?? "10000") || 10_000,
  };
}

export class RunpodWorker {
  readonly #options: Required<RunpodWorkerOptions>;
  readonly #jobs = new Map<string, Promise<void>>();

  constructor(options: RunpodWorkerOptions) {
    this.#options = { idle: 1000, log: () => {}, ...options };
  }

  /** Takes jobs until `signal` aborts; jobs that are not done then are left for whoever gets them next. */
  async run(signal: AbortSignal): Promise<void> {
    const pinging = this.#ping(signal);
    while (!signal.aborted) {
      if (this.#jobs.size >= this.#options.slots) {
        await Promise.race([...this.#jobs.values(), pause(this.#options.idle, signal)]);
        continue;
      }
      const job = await this.#take(signal);
      if (job === null || this.#jobs.has(job.id)) {
        await pause(this.#options.idle, signal);
        continue;
      }
      const work = this.#work(job, signal)
        .catch((error: unknown) =>
          this.#options.log({ level: "error", event: "job", job: job.id, cause: String(error) })
        )
        .finally(() => this.#jobs.delete(job.id));
      this.#jobs.set(job.id, work);
    }
    await Promise.all([pinging, ...this.#jobs.values()]);
  }

  /** Null where there is none: 204, and 400 where that cloud wakes workers without work. */
  async #take(signal: AbortSignal): Promise<Job | null> {
    const { addresses: { take, key }, log } = this.#options;
    try {
      const response = await fetch(`${take}${join(take)}job_in_progress=${this.#jobs.size > 0 ? 1 : 0}`, {
        headers: { authorization: key },
        signal: AbortSignal.any([signal, AbortSignal.timeout(LONG_POLL)]),
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        if (![204, 400].includes(response.status)) log({ level: "error", event: "take", status: response.status });
        return null;
      }
      const job = jobSchema.safeParse(await response.json());
      if (job.success) return job.data;
      log({ level: "error", event: "take", cause: "the job has no id or no input" });
    } catch (error) {
      if (!signal.aborted) log({ level: "error", event: "take", cause: String(error) });
    }
    return null;
  }

  async #work({ id, input }: Job, signal: AbortSignal): Promise<void> {
    const { runs, addresses } = this.#options;
    let record: RunRecord;
    try {
      ({ record } = await runs.create(RUNPOD_OWNER, requestOf(input), `runpod:${id}`));
    } catch (error) {
      if (!(error instanceof UnmaskError)) throw error;
      const { message, code, fix } = error;
      return await this.#post(addresses.output, id, { error: `${message} (${code}); ${fix}` }, signal);
    }
    for await (const event of follow(runs.ledger, RUNPOD_OWNER, record.id, 0, signal)) {
      if (event?.type !== "run.step" || !told(event) || addresses.stream === null) continue;
      const { step, steps } = event.data;
      await this.#post(addresses.stream, id, { output: { step, steps } as Json }, signal, true);
    }
    const last = await runs.get(RUNPOD_OWNER, record.id);
    if (!isTerminal(last.state)) return;
    const output = await outputOf(runs, last);
    const ended = output === null ? { error: errorLine(last) ?? `the run was ${last.state}` } : { output };
    await this.#post(addresses.output, id, ended, signal);
  }

  async #post(template: string, job: string, body: unknown, signal: AbortSignal, stream = false): Promise<void> {
    const { addresses: { key }, log, idle } = this.#options;
    const address = template.replaceAll("$ID", encodeURIComponent(job));
    for (let attempt = 1; attempt <= POST_TRIES; attempt++) {
      try {
        const response = await fetch(`${address}${join(address)}isStream=${stream}`, {
          method: "POST",
          headers: { authorization: key, "content-type": "application/x-www-form-urlencoded", "x-request-id": job },
          body: JSON.stringify(body),
          // A result is posted also while this process stops.
          signal: stream ? AbortSignal.any([signal, AbortSignal.timeout(10_000)]) : AbortSignal.timeout(60_000),
        });
        await response.body?.cancel();
        if (response.ok) return;
        log({ level: "error", event: "post", job, status: response.status, attempt });
      } catch (error) {
        log({ level: "error", event: "post", job, cause: String(error), attempt });
      }
      if (stream) return;
      await pause(idle * 2 ** (attempt - 1));
    }
  }

  async #ping(signal: AbortSignal): Promise<void> {
    const { addresses: { ping, key, pingInterval }, log } = this.#options;
    if (ping === null) return;
    while (!signal.aborted) {
      const jobs = [...this.#jobs.keys()].map(encodeURIComponent).join(",");
      const timeout = AbortSignal.any([signal, AbortSignal.timeout(2 * pingInterval)]);
      await fetch(`${ping}${join(ping)}job_id=${jobs}`, { headers: { authorization: key }, signal: timeout })
        .then((response) => response.body?.cancel())
        .catch((error: unknown) => signal.aborted || log({ level: "error", event: "ping", cause: String(error) }));
      await pause(pingInterval, signal);
    }
  }
}

/** What joins a parameter to an address that may have some already. */
function join(address: string): "?" | "&" {
  return address.includes("?") ? "&" : "?";
}
