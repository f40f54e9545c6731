/**
 * OpenTelemetry through Deno's own support (`OTEL_DENO=true`): a span a run, under it one for its wait, one for its work,
 * and one for each batch of steps that a snapshot made durable. Without it the API does nothing.
 *
 * @module
 */
import { type Context, context, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import { isTerminal, type RunEvent, type RunRecord } from "../../core/runs/record.ts";

/** Spans of the runs that this process works on. */
interface Open {
  readonly run: Span;
  readonly work: Span;
  readonly inside: Context;
  /** When the last batch ended, Unix ms. */
  since: number;
}

export class Tracing {
  readonly #tracer = trace.getTracer("unmask");
  readonly #open = new Map<string, Open>();

  /** For `Ledger`: a commit of a run has landed. */
  readonly run = (record: RunRecord, events: readonly RunEvent[]): void => {
    for (const event of events) if (event.type === "run.started") this.#begin(record, event);
    const open = this.#open.get(record.id);
    if (open === undefined) return;
    const steps = events.filter(({ type }) => type === "run.step");
    const last = steps.at(-1);
    if (last !== undefined) {
      const attributes = { "unmask.steps": steps.length, "unmask.step": Number(last.data["step"]) };
      this.#tracer.startSpan("unmask.steps", { startTime: open.since, attributes }, open.inside).end(last.time);
      open.since = last.time;
    }
    // A run that leaves this worker unfinished goes on under another's span.
    if (record.state !== "running") this.#end(record, open, events.at(-1)?.time ?? Date.now());
  };

  #begin(record: RunRecord, { time }: RunEvent): void {
    const { id, task, created_at, claims } = record;
    const attributes = { "unmask.run": id, "unmask.task": task, "unmask.claim": claims };
    const run = this.#tracer.startSpan("unmask.run", { startTime: claims === 1 ? created_at : time, attributes });
    const around = trace.setSpan(context.active(), run);
    if (claims === 1) this.#tracer.startSpan("unmask.queue", { startTime: created_at }, around).end(time);
    const work = this.#tracer.startSpan("unmask.work", { startTime: time }, around);
    this.#open.set(id, { run, work, inside: trace.setSpan(around, work), since: time });
  }

  #end({ id, state, error }: RunRecord, { run, work }: Open, time: number): void {
    this.#open.delete(id);
    run.setAttribute("unmask.state", state);
    if (state === "failed") run.setStatus({ code: SpanStatusCode.ERROR, message: error?.code ?? "failed" });
    else if (isTerminal(state)) run.setStatus({ code: SpanStatusCode.OK });
    work.end(time);
    run.end(time);
  }
}
