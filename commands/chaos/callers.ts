/**
 * The runs of the plan, asked for over HTTP at a pace that leaves workers idle, each with its caller's behaviour.
 *
 * @module
 */
import { isTerminal, type RunRecord } from "../../core/runs/record.ts";
import type { Runs } from "../../core/runs/service.ts";
import { type Client, ownerOfKey, type Promised, Refused } from "./client.ts";
import { ONLY_OF, type PlannedRun } from "./plan.ts";

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Callers {
  readonly #client: Client;
  readonly #runs: Runs;
  readonly promised: Promised[] = [];
  readonly #open = new Set<Promised>();
  readonly #busy = new Set<Promise<void>>();
  /** What no caller could have expected. */
  readonly surprises: string[] = [];

  /** @param runs the service behind the front, to look at records without a request */
  constructor(client: Client, runs: Runs) {
    [this.#client, this.#runs] = [client, runs];
  }

  /** Runs that have not ended, as far as was seen. */
  get open(): number {
    return this.#open.size;
  }

  /** Begins with one run; its caller's behaviour goes on beside. */
  async begin(plan: PlannedRun): Promise<void> {
    const { task, input, behaviour, priority, when } = plan;
    const body = { task, input, priority };
    try {
      if (behaviour === "request_left" || behaviour === "request_left_keep") {
        const wait = 50 + when * 900;
        const run = await this.#client.waitAndLeave(plan, body, wait, behaviour === "request_left_keep");
        return this.#accepted(run);
      }
      const from = behaviour === "fork" || behaviour === "redraw" ? await this.#parentFor(plan) : null;
      if (from !== null) {
        const changes = { input: { seed: 3, ...(behaviour === "redraw" ? { steps: 4 } : {}) } };
        const asked = behaviour === "fork"
          ? { step: Math.floor(when * stepsOf(from)), ...changes }
          : { boxes: [[32, 32, 160, 128]], ...changes };
        return this.#accepted(await this.#client.accept(plan, `/v1/runs/${from.id}/${behaviour}`, asked));
      }
      // Steps enough that a budget must take some away.
      const budget = behaviour === "budget" ? { budget_ms: 1200, input: { ...input, steps: 40 } } : {};
      this.#accepted(await this.#client.accept(plan, "/v1/runs", { ...body, ...budget }));
    } catch (error) {
      this.surprises.push(`${behaviour}: ${error instanceof Error ? error.message : error}`);
    }
  }

  #accepted(run: Promised): void {
    this.promised.push(run);
    this.#open.add(run);
    const busy = this.#behave(run).catch((error: unknown) => {
      if (!(error instanceof Refused)) this.surprises.push(`${run.plan.behaviour} ${run.id}: ${error}`);
    }).finally(() => this.#busy.delete(busy));
    this.#busy.add(busy);
  }

  async #behave(run: Promised): Promise<void> {
    const { behaviour, when, input } = run.plan;
    const length = Number(input.steps ?? input.length ?? 4);
    const at = Math.ceil(when * length);
    if (behaviour === "stream_left") {
      await this.#client.follow(run, ({ sequence }) => {
        const left = sequence % (3 + at) === 2;
        run.met ||= left;
        return left;
      });
    } else if (behaviour === "cancel_at_finish") {
      await this.#client.follow(run, async ({ type, data }) => {
        // At the last step, or one or two before it: the cancel meets the finish.
        const near = Number(data.step) >= Math.max(1, Number(data.steps) - Math.floor(when * 3));
        if (type !== "run.step" || !near || run.met) return false;
        await this.#client.control(run, "cancel");
        run.met = true;
        return false;
      });
    } else if (behaviour === "paused") {
      await this.#client.control(run, "pause");
      await pause(300 + when * 500);
      await this.#client.control(run, "resume");
    }
  }

  /**
   * A parent of a task of which this can be asked, of the planned one if there is such: of a fork any run that has done a
   * step, running or over; of a redraw one that has succeeded.
   */
  async #parentFor({ task, owner, behaviour, when }: PlannedRun): Promise<RunRecord | null> {
    const own = this.promised.filter((run) => run.owner === owner && ONLY_OF[behaviour]?.includes(run.plan.task));
    const rank = (run: Promised) => (run.plan.task === task ? 0 : own.length);
    const first = Math.floor(when * own.length);
    const mine = own.map((run, i) => ({ run, at: rank(run) + (i + own.length - first) % own.length }))
      .toSorted((a, b) => a.at - b.at).map(({ run }) => run);
    for (const run of mine) {
      const record = await this.#look(run);
      if (record === null || record.step < 1) continue;
      if (behaviour === "fork" || record.state === "succeeded") return record;
    }
    return null;
  }

  async #look(run: Promised): Promise<RunRecord | null> {
    return await this.#runs.get(ownerOfKey(run.owner), run.id).catch(() => null);
  }

  /** Looks which runs have ended. */
  async look(): Promise<void> {
    for (const run of [...this.#open]) {
      const record = await this.#look(run);
      if (record !== null && isTerminal(record.state)) this.#open.delete(run);
    }
  }

  /** Until all have ended and every caller has gone. @returns false after `patience` ms */
  async end(patience: number): Promise<boolean> {
    for (const end = performance.now() + patience; performance.now() < end;) {
      await this.look();
      if (this.#open.size === 0 && this.#busy.size === 0) return true;
      await pause(200);
    }
    return false;
  }
}

/** Up to where a fork may begin: a redraw has more steps than its input says, and its fork only those of the input. */
function stepsOf({ task, step, input }: RunRecord): number {
  return task === "reflect" ? step : Math.min(step, Number(input.steps));
}
