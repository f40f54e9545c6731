import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { newSecret } from "../../../../core/runs/webhooks/endpoint.ts";
import { hookSchema, receive } from "../../../../core/runs/webhooks/inbound.ts";

const [SECRET, OLD] = [newSecret(), newSecret()];
const HOOKS = [
  hookSchema.parse({
    name: "shop",
    secrets: [SECRET, OLD],
    owner: "alice",
    task: "draw",
    input: { steps: 8 },
    take: { prompt: "data.item.title" },
    events: ["item.created"],
  }),
  hookSchema.parse({ name: "any", secrets: [SECRET], owner: "bob", task: "draw" }),
];
const BODY = JSON.stringify({ type: "item.created", data: { item: { title: "a photo of a cup" } } });

function signed(body: string, { id = "msg_1", secret = SECRET, at = Date.now() } = {}): Headers {
  const time = new Date(at);
  return new Headers({
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, time, body),
  });
}
const code = (work: () => unknown) => {
  try {
    return work();
  } catch (error) {
    const { code, status } = error as { code: string; status: number };
    return `${code} ${status}`;
  }
};

test("a signed message becomes a run, the same for each copy", () => {
  const run = receive(HOOKS, "shop", signed(BODY), BODY);
  expect(run).toStrictEqual({
    owner: "alice",
    request: { task: "draw", input: { steps: 8, prompt: "a photo of a cup" } },
    idempotencyKey: "hook shop msg_1",
  });
  // A copy is signed at another time.
  expect(receive(HOOKS, "shop", signed(BODY, { at: Date.now() - 60_000 }), BODY)).toStrictEqual(run);
  expect(receive(HOOKS, "shop", signed(BODY, { id: "msg_2" }), BODY)?.idempotencyKey).not.toBe(run?.idempotencyKey);
  expect(receive(HOOKS, "any", signed(BODY), BODY)?.idempotencyKey).not.toBe(run?.idempotencyKey);
});

test("a message signed with the secret before is taken while both are listed", () => {
  expect(receive(HOOKS, "shop", signed(BODY, { secret: OLD }), BODY)).not.toBeNull();
});

test("what is not signed, or not now, or was changed on the way, starts nothing", () => {
  const unverified = "webhook_unverified 401";
  expect(code(() => receive(HOOKS, "shop", signed(BODY, { secret: newSecret() }), BODY))).toBe(unverified);
  expect(code(() => receive(HOOKS, "shop", signed(BODY), BODY.replace("cup", "cat")))).toBe(unverified);
  expect(code(() => receive(HOOKS, "shop", signed(BODY, { at: Date.now() - 301_000 }), BODY))).toBe(unverified);
  expect(code(() => receive(HOOKS, "shop", signed(BODY, { at: Date.now() + 302_000 }), BODY))).toBe(unverified);
  expect(code(() => receive(HOOKS, "shop", new Headers(), BODY))).toBe(unverified);
  const other = signed(BODY);
  other.set("webhook-id", "msg_2");
  expect(code(() => receive(HOOKS, "shop", other, BODY))).toBe(unverified);
  expect(code(() => receive(HOOKS, "nobody", signed(BODY), BODY))).toBe("hook_not_found 404");
});

test("other event types start nothing; what the task needs must be in the message", () => {
  const other = BODY.replace("item.created", "item.deleted");
  expect(receive(HOOKS, "shop", signed(other), other)).toBeNull();
  const bare = JSON.stringify({ type: "item.created", data: {} });
  expect(code(() => receive(HOOKS, "shop", signed(bare), bare))).toBe("webhook_invalid 400");
  expect(code(() => receive(HOOKS, "any", signed("no json"), "no json"))).toBe("webhook_invalid 400");
  const taken = [{ ...HOOKS[0], take: { prompt: "constructor.name" } }] as typeof HOOKS;
  expect(code(() => receive(taken, "shop", signed(BODY), BODY))).toBe("webhook_invalid 400");
  expect(code(() => receive(HOOKS, "any", signed(BODY, { id: "x".repeat(201) }), BODY))).toBe("webhook_invalid 400");
});
