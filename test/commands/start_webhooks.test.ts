/** `deno task start --webhooks FILE`: from a signed message in, over a run, to a signed message out. */
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCommand } from "../../commands/start.ts";
import { newSecret } from "../../core/runs/webhooks/endpoint.ts";
import { createDraw } from "../../core/tasks/draw.ts";
import type { DrawInput } from "../../core/tasks/draw_input.ts";
import type { DrawState } from "../../core/tasks/draw_state.ts";
import type { RemoteInference, RemoteSteps } from "../../core/tasks/remote.ts";
import { fakeModel } from "../core/tasks/fake_model.ts";
import { Receiver, verify } from "../core/runs/webhooks/receiver.ts";
import { codecDouble, double } from "../functions/double.ts";
import { collect } from "./collect.ts";

const SECRET = newSecret();
let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "unmask-webhooks-" });
});
afterAll(() => Deno.remove(folder, { recursive: true }));

/** An inference whose steps are those of the table model. */
function stepping(): RemoteInference {
  const model = fakeModel();
  const task = createDraw();
  const steps = {
    start: (input: DrawInput) => Promise.resolve().then(() => task.start(input, model)),
    open: async (state: DrawState) => {
      const stepper = await task.open(state, model);
      return { step: () => stepper.step(), close: () => Promise.resolve(stepper.close()) };
    },
    result: (state: DrawState) => task.result(state, model),
    decode: (ids: Uint16Array) => model.decode(ids),
    meanCode: () => Promise.resolve(0),
  } as unknown as RemoteSteps;
  return { ...double(), steps };
}

test("a signed message starts a run, and its end is told to the endpoint with a signature", async () => {
  const receiver = new Receiver().up();
  const file = `${folder}/webhooks.json`;
  const settings = {
    endpoints: [{ name: "log", url: receiver.url, secrets: [SECRET] }],
    hooks: [{ name: "shop", secrets: [SECRET], owner: "anyone", task: "draw", take: { prompt: "data.text" } }],
  };
  await Deno.writeTextFile(file, JSON.stringify(settings));
  const stop = new AbortController();
  const { promise: url, resolve } = Promise.withResolvers<string>();
  const command = startCommand(() => Promise.resolve(stepping()), codecDouble);
  const ended = collect(
    (args, context) => command(args, { ...context, announce: (line) => resolve(String(line.url)) }),
    ["--port", "0", "--store", ":memory:", "--webhooks", file],
    { signal: stop.signal },
  );
  try {
    const body = JSON.stringify({ type: "order", data: { text: "a photo of a cup" } });
    const at = new Date();
    const answer = await fetch(`${await url}/v1/hooks/shop`, {
      method: "POST",
      headers: {
        "webhook-id": "msg_1",
        "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
        "webhook-signature": new Webhook(SECRET).sign("msg_1", at, body),
      },
      body,
    });
    expect(answer.status).toBe(202);
    const { run } = await answer.json();
    await expect.poll(() => receiver.received.length, { timeout: 20_000 }).toBe(1);
    const [message] = receiver.received;
    if (message === undefined) throw new Error("no message");
    expect(verify(message, SECRET)).toMatchObject({ type: "run.succeeded", data: { id: run.id } });
    const log = await (await fetch(`${await url}/v1/runs/${run.id}/webhooks`)).json();
    expect(log.data).toMatchObject([{ id: message.id, endpoint: "log", type: "run.succeeded" }]);
  } finally {
    stop.abort(new DOMException("interrupted", "AbortError"));
    await ended;
    await receiver.down();
  }
});

test.each<[string, string | null, string]>([
  ["a file that is not there", null, "webhook_settings_unreadable"],
  ["a file that is no JSON", "{", "webhook_settings_invalid"],
])("%s is refused before the model is opened", async (_, text, code) => {
  const file = `${folder}/bad.json`;
  if (text !== null) await Deno.writeTextFile(file, text);
  let opened = 0;
  const command = startCommand(() => Promise.resolve((opened++, stepping())), codecDouble);
  const result = await collect(command, ["--port", "0", "--webhooks", file, "--json"]);
  expect([result.code, opened, JSON.parse(result.stdout).error.code]).toEqual([2, 0, code]);
});
