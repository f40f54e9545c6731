/**
 * A prediction as Cog streams it: `start`, `log` for each step, `output` with the chunk, `completed` with the prediction.
 * A PUT with the same id attaches, and gets all of it from the beginning.
 *
 * @module
 */
import type { Context } from "hono";
import { isTerminal, type RunRecord } from "../../core/runs/record.ts";
import { outputOf, progressLine } from "../../core/runs/views/output.ts";
import { cogPrediction } from "../../core/runs/views/prediction.ts";
import type { Environment } from "../middleware/request_id.ts";
import type { ProtocolDoor } from "./protocol_door.ts";
import { eventStream } from "./sse.ts";

/** @param name the prediction's id as the client knows it */
export function cogStream(
  context: Context<Environment>,
  { runs, closing }: ProtocolDoor,
  { owner, id }: RunRecord,
  name: string,
): Response {
  let started = false;
  return eventStream(context, { owner, id }, { runs, ...(closing === undefined ? {} : { closing }) }, async (event) => {
    if (event.type === "run.started") {
      // Another worker's claim is no second start.
      if (started) return null;
      started = true;
      return line("start", { id: name, status: "processing" });
    }
    if (event.type === "run.step") {
      const { step, steps } = event.data;
      return line("log", { source: "stderr", data: progressLine({ step: Number(step), steps: Number(steps) }) });
    }
    const record = await runs.get(owner, id);
    if (!isTerminal(record.state) || event.sequence !== record.sequence) return null;
    const output = await outputOf(runs, record);
    const completed = line("completed", cogPrediction(record, output, name));
    return output === null ? completed : `${line("output", { chunk: output, index: 0 })}\n\n${completed}`;
  });
}

function line(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}`;
}
