import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Ledger } from "../../core/runs/ledger.ts";
import { Runs } from "../../core/runs/service.ts";
import type { Kind } from "../../core/runs/state/kind.ts";
import { openStore } from "../../core/runs/store/open.ts";
import type { Store } from "../../core/runs/store/types.ts";
import { newSecret } from "../../core/runs/webhooks/endpoint.ts";
import { makeOutbox } from "../../core/runs/webhooks/outbox.ts";
import { parseWebhookSettings } from "../../core/runs/webhooks/settings.ts";
import { createApp } from "../../functions/app.ts";
import { double } from "./double.ts";

const SECRET = newSecret();
const SETTINGS = parseWebhookSettings(JSON.stringify({
  endpoints: [{ name: "log", url: "https://log.example/", secrets: [SECRET], events: ["*"] }],
  hooks: [{ name: "shop", secrets: [SECRET], owner: "anyone", task: "draw", take: { prompt: "data.text" } }],
}));
const KIND = { name: "draw", parse: (input: unknown) => input } as unknown as Kind;

let store: Store;
let runs: Runs;
let app: ReturnType<typeof createApp>;
beforeEach(async () => {
  store = await openStore(":memory:");
  runs = new Runs({ ledger: new Ledger(store, { outbox: makeOutbox(SETTINGS.out) }), kinds: [KIND] });
  app = createApp({
    inference: Promise.resolve(double()),
    hooks: Promise.resolve({ runs, hooks: SETTINGS.hooks }),
  });
});
afterEach(() => store.close());

const BODY = JSON.stringify({ type: "order", data: { text: "a photo of a cup" } });
function post(body: string, id = "msg_1", secret = SECRET, at = new Date()): Promise<Response> {
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, at, body),
  };
  return Promise.resolve(app.request("/v1/hooks/shop", { method: "POST", headers, body }));
}

test("a signed message starts one run, however often and however much at once it is sent", async () => {
  const answers = await Promise.all(
    [0, 1, 2, 3].map((i) => post(BODY, "msg_1", SECRET, new Date(Date.now() - i * 9000))),
  );
  const ids = await Promise.all(answers.map(async (answer) => (await answer.json()).run.id as string));
  expect(new Set(ids).size).toBe(1);
  expect(answers.map(({ status }) => status).sort()).toStrictEqual([200, 200, 200, 202]);
  expect((await runs.list("anyone")).records.map(({ input }) => input.prompt)).toStrictEqual(["a photo of a cup"]);
  expect((await post(BODY, "msg_2")).status).toBe(202);
  expect((await runs.list("anyone")).records).toHaveLength(2);
});

test("what is not signed with the hook's secret starts nothing", async () => {
  const answer = await post(BODY, "msg_1", newSecret());
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({ error: { code: "webhook_unverified" } });
  expect((await app.request("/v1/hooks/other", { method: "POST", body: BODY })).status).toBe(404);
  expect((await app.request("/v1/hooks/shop")).status).toBe(405);
  expect((await runs.list("anyone")).records).toStrictEqual([]);
});

test("the delivery log and the replay are the owner's alone", async () => {
  const { run } = await (await post(BODY)).json();
  const log = `/v1/runs/${run.id}/webhooks`;
  const { data } = await (await app.request(log)).json();
  expect(data).toMatchObject([{ type: "run.queued", endpoint: "log", state: "pending", attempts: [] }]);
  expect(JSON.stringify(data)).not.toContain("whsec_");
  const stranger = { headers: { authorization: "Bearer somebody-else" } };
  expect((await app.request(log, stranger)).status).toBe(404);
  const again = `${log}/${data[0].id}/replay`;
  expect((await app.request(again, { method: "POST", ...stranger })).status).toBe(404);
  const own = { method: "POST", headers: { "x-unmask": "1" } };
  expect((await app.request(`${log}/none/replay`, own)).status).toBe(404);
  expect((await app.request(again, own)).status).toBe(202);
});

test("settings are refused with the place and without the secret", () => {
  const told = (settings: unknown) => {
    try {
      parseWebhookSettings(typeof settings === "string" ? settings : JSON.stringify(settings));
      return "taken";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const endpoint = { name: "a", url: "https://a.example/", secrets: [SECRET] };
  expect(told({})).toBe("taken");
  expect(told("{")).toContain("no JSON");
  expect(told({ endpoints: [{ ...endpoint, secrets: ["whsec_c2VjcmV0"] }] })).toMatch(/endpoints\.0\.secrets\.0/);
  expect(told({ endpoints: [{ ...endpoint, secrets: ["whsec_c2VjcmV0"] }] })).not.toContain("c2VjcmV0");
  expect(told({ endpoints: [endpoint, endpoint] })).toContain("named a");
  expect(told({ endpoint: [] })).toContain("unrecognized_keys");
  expect(told({ delivery: { delays_ms: [], longest_ms: 1, timeout_ms: 1000 } })).toContain("delivery.delays_ms");
  const delivery = { delays_ms: [0, 5], longest_ms: 9, timeout_ms: 1000 };
  expect(parseWebhookSettings(JSON.stringify({ delivery })).delivery).toEqual({
    schedule: { delays_ms: [0, 5], jitter: 0.1, longest_ms: 9 },
    timeout_ms: 1000,
  });
});
