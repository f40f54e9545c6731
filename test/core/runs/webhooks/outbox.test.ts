import { expect, test } from "vitest";
import {
  newSecret,
  parseRunWebhooks,
  serverEndpointSchema,
  wants,
  type WebhookConfig,
} from "../../../../core/runs/webhooks/endpoint.ts";
import type { Message } from "../../../../core/runs/webhooks/message.ts";
import { makeOutbox } from "../../../../core/runs/webhooks/outbox.ts";
import { nextDelay, RETRY_SCHEDULE, retryAfter, scaled } from "../../../../core/runs/webhooks/schedule.ts";
import { record, SECRET } from "./receiver.ts";

const CONFIG: WebhookConfig = {
  endpoints: [
    serverEndpointSchema.parse({ name: "all", url: "https://all.example/", secrets: [SECRET], events: ["*"] }),
    serverEndpointSchema.parse({ name: "ends", url: "https://ends.example/", secrets: [SECRET] }),
  ],
  secrets: [SECRET],
  base_url: "https://unmask.example",
};
const event = (type: string, sequence: number, data = {}) => ({ type, sequence, data, time: 1_700_000_000_000 });

test("an event becomes one message for each endpoint whose filter it passes", () => {
  const own = newSecret();
  const run = record("run_1", {
    webhooks: [{ url: "https://own.example/", secrets: [own], events: ["run.started", "run.succeeded"] }],
  });
  const events = [event("run.started", 2), event("run.step", 3), event("run.succeeded", 4)];
  const writes = makeOutbox(CONFIG)(run, events);
  const messages = writes.filter((write) => write.key[0] === "webhook").map((write) => write.value as Message);
  expect(messages.map(({ id }) => id)).toStrictEqual([
    "msg_run_1_2_all",
    "msg_run_1_2_own-0",
    "msg_run_1_3_all",
    "msg_run_1_4_all",
    "msg_run_1_4_ends",
    "msg_run_1_4_own-0",
  ]);
  expect(writes.filter((write) => write.key[0] === "webhook_due")).toHaveLength(6);
  // The same commit tried again makes the same messages.
  expect(makeOutbox(CONFIG)(run, events)).toStrictEqual(writes);
  const last = messages.at(-1);
  expect(last).toMatchObject({ owner: "alice", run: "run_1", secrets: [own], url: "https://own.example/" });
  expect(JSON.parse(last?.body ?? "")).toStrictEqual({
    type: "run.succeeded",
    timestamp: "2023-11-14T22:13:20.000Z",
    data: {
      id: "run_1",
      task: "draw",
      state: "succeeded",
      step: 8,
      steps: 8,
      sequence: 4,
      links: {
        run: "https://unmask.example/v1/runs/run_1",
        result: "https://unmask.example/v1/runs/run_1/result",
      },
      event: {},
    },
  });
});

test("a body stays small, and no id has a dot", () => {
  const data = { picture: "x".repeat(50_000) };
  const [write] = makeOutbox(CONFIG)(record("run.1"), [event("run.step", 3, data)]);
  const message = write?.value as Message;
  expect(message.body.length).toBeLessThan(20_000);
  expect(JSON.parse(message.body)).toMatchObject({ type: "run.step", data: { id: "run.1" } });
  expect(message.id).not.toContain(".");
});

test("filters: a type, a group, all", () => {
  expect(wants(["run.succeeded"], "run.succeeded")).toBe(true);
  expect(wants(["run.succeeded"], "run.failed")).toBe(false);
  expect(wants(["run.*"], "run.failed")).toBe(true);
  expect(wants(["run.*"], "runner.failed")).toBe(false);
  expect(wants(["*"], "anything.at.all")).toBe(true);
});

test("a run's webhooks are checked before the run is accepted", () => {
  const refused = (value: unknown, config = CONFIG) => {
    try {
      parseRunWebhooks([value], config);
    } catch (error) {
      return (error as { code: string }).code;
    }
    return undefined;
  };
  expect(refused({ url: "https://a.example/" })).toBeUndefined();
  expect(refused({ url: "https://a.example/" }, { ...CONFIG, secrets: [] })).toBe("webhook_secret_missing");
  expect(refused({ url: "ftp://a.example/" })).toBe("invalid_webhook");
  expect(refused({ url: "https://a.example/", secrets: ["whsec_c2hvcnQ="] })).toBe("invalid_webhook");
  expect(refused({ url: "https://a.example/", secrets: [newSecret().slice(6)] })).toBe("invalid_webhook");
  expect(refused({ url: "https://a.example/", events: [] })).toBe("invalid_webhook");
  expect(refused({ url: "https://a.example/", event: ["*"] })).toBe("invalid_webhook");
});

test("the schedule is the standard's, and may be scaled", () => {
  expect(RETRY_SCHEDULE.delays_ms.map((delay) => delay / 1000))
    .toStrictEqual([0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
  expect(scaled(RETRY_SCHEDULE, 0.001).delays_ms[1]).toBe(5);
  expect(nextDelay(RETRY_SCHEDULE, 1, null, () => 0)).toBe(5000);
  expect(nextDelay(RETRY_SCHEDULE, 1, null, () => 0.999)).toBeGreaterThan(5400);
  expect(nextDelay(RETRY_SCHEDULE, 9, null, () => 0)).toBe(86_400_000);
  expect(nextDelay(RETRY_SCHEDULE, 10)).toBeNull();
  // A receiver may ask for more time, not for less, and not for ever.
  expect(nextDelay(RETRY_SCHEDULE, 1, 60_000, () => 0)).toBe(60_000);
  expect(nextDelay(RETRY_SCHEDULE, 2, 60_000, () => 0)).toBe(300_000);
  expect(nextDelay(RETRY_SCHEDULE, 1, 1e15, () => 0)).toBe(86_400_000);
  expect(retryAfter("120", 0)).toBe(120_000);
  expect(retryAfter("Thu, 01 Jan 1970 00:01:00 GMT", 1000)).toBe(59_000);
  expect(retryAfter("soon", 0)).toBeNull();
  expect(retryAfter(null, 0)).toBeNull();
});
