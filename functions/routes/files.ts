/**
 * What signed links show, without a key: `/v1/files/{token}` the result of a run, `/v1/files/{token}/stream` its events in
 * Replicate's words (`logs`, `output`, `done`), as that cloud's clients read them, who send no key there either.
 *
 * @module
 */
import { Hono } from "hono";
import { isTerminal } from "../../core/runs/record.ts";
import { errorLine, progressLine } from "../../core/runs/views/output.ts";
import { methodNotAllowed } from "../middleware/errors.ts";
import type { Environment } from "../middleware/request_id.ts";
import { linkTo, originOf, type ProtocolDoor } from "./protocol_door.ts";
import { eventStream } from "./sse.ts";

export function filesRoutes(opening: Promise<ProtocolDoor>): Hono<Environment> {
  const routes = new Hono<Environment>();
  routes.get("/v1/files/:token", async (context) => {
    const { runs, links } = await opening;
    const { owner, run } = links.verify(context.req.param("token"), "result", runs.ledger.now());
    const { record, bytes } = await runs.result(owner, run);
    return new Response(new Uint8Array(bytes), {
      headers: {
        "content-type": record.output?.media_type ?? "application/octet-stream",
        "cache-control": "private, no-store",
        "x-content-type-options": "nosniff",
      },
    });
  });

  routes.get("/v1/files/:token/stream", async (context) => {
    const door = await opening;
    const { runs, links, closing } = door;
    const { owner, run: id } = links.verify(context.req.param("token"), "stream", runs.ledger.now());
    await runs.get(owner, id);
    const result = linkTo(originOf(context, door), door, { owner, run: id, kind: "result" });
    const options = { runs, ...(closing === undefined ? {} : { closing }) };
    return eventStream(context, { owner, id }, options, async (event) => {
      const say = (name: string, data: string) => `event: ${name}\nid: ${event.sequence}\ndata: ${data}`;
      if (event.type === "run.step") {
        const { step, steps } = event.data;
        return say("logs", progressLine({ step: Number(step), steps: Number(steps) }).trimEnd());
      }
      const record = await runs.get(owner, id);
      if (!isTerminal(record.state) || event.sequence !== record.sequence) return null;
      if (record.state === "succeeded") return `${say("output", result)}\n\n${say("done", "{}")}`;
      const error = errorLine(record);
      return error === null ? say("done", '{"reason":"canceled"}') : say("error", JSON.stringify({ detail: error }));
    });
  });
  for (const path of ["/v1/files/:token", "/v1/files/:token/stream"]) {
    routes.all(path, methodNotAllowed(["GET", "HEAD"]));
  }
  return routes;
}
