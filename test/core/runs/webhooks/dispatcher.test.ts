import { afterEach, beforeEach, expect, test } from "vitest";
import { deliveriesOf, replay } from "../../../../core/runs/webhooks/deliveries.ts";
import { Dispatcher, type DispatcherOptions } from "../../../../core/runs/webhooks/dispatcher.ts";
import { newSecret, type WebhookConfig } from "../../../../core/runs/webhooks/endpoint.ts";
import { type Message, webhookKeys } from "../../../../core/runs/webhooks/message.ts";
import { callTrusted } from "../../../../core/runs/webhooks/send.ts";
import { openStore } from "../../../../core/runs/store/open.ts";
import type { Store } from "../../../../core/runs/store/types.ts";
import { config, emit, ok, Receiver, record, SECRET, status, verify } from "./receiver.ts";

const SCHEDULE = { delays_ms: [0, 30, 30, 30], jitter: 0, longest_ms: 60_000 };
const wait = { timeout: 30_000, interval: 20 };

let store: Store;
let stop: AbortController;
let running: Promise<void>[];
let receivers: Receiver[];

beforeEach(async () => {
  store = await openStore(":memory:");
  [stop, running, receivers] = [new AbortController(), [], []];
});
afterEach(async () => {
  stop.abort();
  await Promise.all(running);
  await Promise.all(receivers.map((receiver) => receiver.down()));
  await store.close();
});

function receiver(answer = ok as ConstructorParameters<typeof Receiver>[0]): Receiver {
  const made = new Receiver(answer);
  receivers.push(made);
  return made;
}

function dispatch(config: WebhookConfig, options: Partial<DispatcherOptions> = {}): Dispatcher {
  const dispatcher = new Dispatcher({ store, config, schedule: SCHEDULE, timeout_ms: 5000, poll_ms: 20, ...options });
  running.push(dispatcher.run(stop.signal));
  return dispatcher;
}

const states = async (run: string) => (await deliveriesOf(store, "alice", run)).map((delivery) => delivery.state);
const dues = async () => (await store.list({ prefix: webhookKeys.allDue })).entries.length;

test("an event arrives signed; nothing of it is left to do", async () => {
  const [there, settings] = [receiver().up(), config({})];
  const own = { webhooks: [{ url: there.url, events: ["run.succeeded"] }] };
  dispatch(settings, { call: callTrusted });
  await emit(store, settings, record("run_1", own));
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["delivered"]);
  expect(there.received).toHaveLength(1);
  const [first] = there.received;
  expect(first && verify(first, SECRET)).toMatchObject({
    type: "run.succeeded",
    data: { id: "run_1", task: "draw", state: "succeeded", links: { result: "/v1/runs/run_1/result" } },
  });
  expect(first && (() => verify(first, newSecret()))).toThrow("No matching signature");
  expect(await dues()).toBe(0);
});

test("500, then 200: same id and body, each attempt signed with its own time, and both in the log", async () => {
  const there = receiver((n) => n < 2 ? status(500) : ok()).up();
  const settings = config({ main: there });
  let clock = Date.now() - 100_000;
  dispatch(settings, { now: () => clock += 1000 });
  await emit(store, settings, record("run_1"), "run.failed", clock);
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["delivered"]);
  const { received } = there;
  expect(received).toHaveLength(3);
  expect(new Set(received.map(({ id, body }) => `${id} ${body}`)).size).toBe(1);
  expect(new Set(received.map(({ timestamp }) => timestamp)).size).toBe(3);
  for (const each of received) verify(each, SECRET);
  const [delivery] = await deliveriesOf(store, "alice", "run_1");
  expect(delivery?.attempts.map((attempt) => attempt.status)).toStrictEqual([500, 500, 204]);
  expect(delivery?.attempts.map((attempt) => attempt.error)).toStrictEqual(["answered 500", "answered 500", null]);
});

test("a receiver that is down gets it when it is up; nobody waits for it meanwhile", async () => {
  const [away, there] = [receiver(), receiver().up()];
  const settings = config({ away, there });
  dispatch(settings, { schedule: { ...SCHEDULE, delays_ms: Array(500).fill(50) } });
  await emit(store, settings, record("run_1"));
  await expect.poll(() => there.received.length, wait).toBe(1);
  await expect.poll(async () => (await deliveriesOf(store, "alice", "run_1"))[0]?.attempts.length, wait)
    .toBeGreaterThan(1);
  const log = await deliveriesOf(store, "alice", "run_1");
  expect(log.map(({ state }) => state)).toStrictEqual(["pending", "delivered"]);
  expect(log[0]?.attempts[0]).toMatchObject({ status: null, error: "no connection" });
  away.up();
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["delivered", "delivered"]);
  expect(away.received.length).toBeGreaterThan(0);
});

test("a slow receiver is left after the time it has, and holds up no other", async () => {
  const gate = Promise.withResolvers<Response>();
  const [slow, there] = [receiver(() => gate.promise).up(), receiver().up()];
  const settings = config({ slow, there });
  dispatch(settings, { timeout_ms: 300, parallel: 2, schedule: { ...SCHEDULE, delays_ms: [0] } });
  await emit(store, settings, record("run_1"));
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["failed", "delivered"]);
  expect((await deliveriesOf(store, "alice", "run_1"))[0]?.attempts[0]?.error).toBe("no answer within 300 ms");
  gate.resolve(ok());
});

test("410 disables the endpoint: no more requests, the messages stay, a replay opens it again", async () => {
  const there = receiver(() => status(410)).up();
  const settings = config({ main: there });
  dispatch(settings);
  await emit(store, settings, record("run_1"));
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["gone"]);
  await emit(store, settings, record("run_2"));
  await expect.poll(() => states("run_2"), wait).toStrictEqual(["disabled"]);
  expect(there.received).toHaveLength(1);
  there.answer = ok;
  const [message] = await deliveriesOf(store, "alice", "run_2");
  await replay(store, "alice", "run_2", message?.id ?? "");
  await expect.poll(() => states("run_2"), wait).toStrictEqual(["delivered"]);
  await emit(store, settings, record("run_3"));
  await expect.poll(() => states("run_3"), wait).toStrictEqual(["delivered"]);
});

test("a redirect is a failure and is not followed", async () => {
  const elsewhere = receiver().up();
  const there = receiver(() => status(302, { location: elsewhere.url })).up();
  const settings = config({ main: there });
  dispatch(settings, { schedule: { ...SCHEDULE, delays_ms: [0] } });
  await emit(store, settings, record("run_1"));
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["failed"]);
  expect([there.received.length, elsewhere.received.length]).toStrictEqual([1, 0]);
});

test("429 with Retry-After: this message and the endpoint's others wait for it, other endpoints do not", async () => {
  const [busy, there] = [receiver((n) => n === 0 ? status(429, { "retry-after": "20" }) : ok()).up(), receiver().up()];
  const settings = config({ busy, there });
  let clock = Date.now();
  dispatch(settings, { now: () => clock });
  await emit(store, settings, record("run_1"), "run.failed", clock);
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["pending", "delivered"]);
  await expect.poll(async () => (await deliveriesOf(store, "alice", "run_1"))[0]?.attempts.length, wait).toBe(1);
  await emit(store, settings, record("run_2"), "run.failed", clock);
  await expect.poll(() => states("run_2"), wait).toStrictEqual(["pending", "delivered"]);
  clock += 19_000;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(busy.received).toHaveLength(1);
  clock += 2000;
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["delivered", "delivered"]);
  await expect.poll(() => states("run_2"), wait).toStrictEqual(["delivered", "delivered"]);
});

test("when the schedule is used up the message is failed, seen, and can be replayed with the same id and body", async () => {
  const there = receiver(() => status(500)).up();
  const settings = config({ main: there });
  dispatch(settings);
  await emit(store, settings, record("run_1"));
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["failed"]);
  expect(there.received).toHaveLength(4);
  expect(await dues()).toBe(0);
  there.answer = ok;
  const id = there.received[0]?.id ?? "";
  await expect(replay(store, "bob", "run_1", id)).rejects.toMatchObject({ code: "webhook_not_found", status: 404 });
  expect(await deliveriesOf(store, "bob", "run_1")).toStrictEqual([]);
  await replay(store, "alice", "run_1", id);
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["delivered"]);
  expect(new Set(there.received.map((each) => each.id + each.body)).size).toBe(1);
  expect((await deliveriesOf(store, "alice", "run_1"))[0]?.attempts).toHaveLength(5);
});

test("rotation: while two secrets are listed, a message verifies with either", async () => {
  const [there, next] = [receiver().up(), newSecret()];
  dispatch(config({ main: there }, [next, SECRET]));
  // Queued before the new secret was known.
  await emit(store, config({ main: there }), record("run_1"));
  await expect.poll(() => there.received.length, wait).toBe(1);
  const [first] = there.received;
  for (const secret of [next, SECRET]) expect(first && verify(first, secret)).toMatchObject({ type: "run.succeeded" });
});

test("two dispatchers at one store send each message once", async () => {
  const there = receiver().up();
  const settings = config({ main: there });
  for (let i = 0; i < 12; i++) await emit(store, settings, record(`run_${i}`));
  dispatch(settings);
  dispatch(settings);
  await expect.poll(dues, wait).toBe(0);
  expect(there.received).toHaveLength(12);
  expect(new Set(there.received.map((each) => each.id)).size).toBe(12);
});

test("a claim whose process died lapses, and another sends the message", async () => {
  const hangs = receiver(() => new Promise<Response>(() => {}));
  const settings = config({ main: hangs });
  let clock = Date.now();
  await emit(store, settings, record("run_1"), "run.succeeded", clock);
  const [due] = (await store.list({ prefix: webhookKeys.allDue })).entries;
  const [entry] = (await store.list<Message>({ prefix: ["webhook"] })).entries;
  if (!due || !entry) throw new Error("nothing queued");
  // What a claim writes, by a process that then is gone.
  const until = clock + 11_000;
  await store.commit({
    sets: [
      { key: entry.key, value: { ...entry.value, due_at: until } },
      { key: webhookKeys.due(until, entry.value.id), value: due.value },
    ],
    deletes: [due.key],
  });
  hangs.answer = ok;
  hangs.up();
  dispatch(settings, { now: () => clock });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(hangs.received).toHaveLength(0);
  clock += 12_000;
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["delivered"]);
});

test("a run's own address in a private network is not called, and the log says why", async () => {
  const there = receiver().up();
  const settings = config({});
  dispatch(settings, { schedule: { ...SCHEDULE, delays_ms: [0] } });
  await emit(store, settings, record("run_1", { webhooks: [{ url: there.url, events: ["*"] }] }));
  await expect.poll(() => states("run_1"), wait).toStrictEqual(["failed"]);
  expect(there.received).toHaveLength(0);
  expect((await deliveriesOf(store, "alice", "run_1"))[0]?.attempts[0]?.error).toBe("only https addresses are called");
});
