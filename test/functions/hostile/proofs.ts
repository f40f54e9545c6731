/** Keys, links and webhooks that are somebody else's, forged, old, or sent again. */
import { Webhook } from "standardwebhooks";
import { type HostileCase, postJson, type Target } from "./case.ts";

const IMAGES = "/v1/images/generations";
const as = (key: (target: Target) => string, path: string, init: RequestInit = {}): HostileCase["send"] => (target) =>
  fetch(`${target.keyed}${path.replace("RUN", target.otherRun)}`, {
    ...init,
    headers: { authorization: `Bearer ${key(target)}`, "content-type": "application/json" },
  });
const mine = (path: string, init?: RequestInit) => as(({ key }) => key, path, init);
const draw = { method: "POST", body: '{"prompt":"a dog","steps":1}' };
const POST = { method: "POST" };
const noRun = { status: 404, code: "run_not_found" };
const noKey = { status: 401, code: "api_key_invalid" };

const flipped = (text: string) => text.slice(0, -3) + (text.at(-3) === "A" ? "B" : "A") + text.slice(-2);
const link =
  (change: (token: string) => string, life = 60_000, kind: "result" | "stream" = "result"): HostileCase["send"] =>
  (target) => {
    const owner = `${target.owner}`;
    const token = target.links.sign({ owner, run: target.otherRun, kind }, target.runs.ledger.now() + life);
    return fetch(`${target.keyed}/v1/files/${change(token)}`);
  };

const BODY = JSON.stringify({ type: "order", data: { text: "a dog" } });
const hook = (
  change: (signed: Record<string, string>) => Record<string, string>,
  at = new Date(),
  body = BODY,
): HostileCase["send"] =>
(target) => {
  const signed = {
    "webhook-id": "msg_hostile",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(target.hookSecret).sign("msg_hostile", at, BODY),
  };
  return fetch(`${target.keyed}/v1/hooks/shop`, { method: "POST", body, headers: change(signed) });
};
const same = (signed: Record<string, string>) => signed;
const unverified = { status: 401, code: "webhook_unverified" };

export const PROOFS: readonly HostileCase[] = [
  { name: "another key's run", send: mine("/v1/runs/RUN"), ...noRun },
  { name: "another key's events", send: mine("/v1/runs/RUN/events"), ...noRun },
  { name: "another key's result", send: mine("/v1/runs/RUN/result"), ...noRun },
  { name: "another key's previews", send: mine("/v1/runs/RUN/steps/1/image"), ...noRun },
  { name: "another key's delivery log", send: mine("/v1/runs/RUN/webhooks"), ...noRun },
  { name: "cancelling another key's run", send: mine("/v1/runs/RUN/cancel", POST), ...noRun },
  { name: "forking another key's run", send: mine("/v1/runs/RUN/fork", { ...POST, body: '{"step":0}' }), ...noRun },
  {
    name: "redrawing another key's run",
    send: mine("/v1/runs/RUN/redraw", { ...POST, body: '{"boxes":[[0,0,9,9]]}' }),
    ...noRun,
  },
  { name: "no key", send: ({ keyed }) => fetch(`${keyed}${IMAGES}`, draw), status: 401, code: "api_key_missing" },
  {
    name: "a key in the address",
    send: ({ keyed, key }) => fetch(`${keyed}/v1/runs?api_key=${key}&key=${key}`),
    status: 401,
    code: "api_key_missing",
  },
  {
    name: "a key in a cookie",
    send: ({ keyed, key }) => fetch(`${keyed}/v1/runs`, { headers: { cookie: `authorization=Bearer ${key}` } }),
    status: 401,
    code: "api_key_missing",
  },
  { name: "a key with one letter changed", send: as(({ key }) => flipped(key), IMAGES, draw), ...noKey },
  { name: "a key with one letter less", send: as(({ key }) => key.slice(0, -1), IMAGES, draw), ...noKey },
  {
    name: "one key's name with another's secret",
    send: as(({ key, otherKey }) => key.slice(0, 21) + otherKey.slice(21), IMAGES, draw),
    ...noKey,
  },
  { name: "a key that was removed", send: as(({ removedKey }) => removedKey, IMAGES, draw), ...noKey },
  {
    name: "a key that may only look",
    send: as(({ readKey }) => readKey, IMAGES, draw),
    status: 403,
    code: "scope_missing",
  },
  {
    name: "a key of its own, made by no admin",
    send: mine("/v1/keys", { ...POST, body: '{"name":"x","scopes":["admin"]}' }),
    status: 403,
    code: "scope_missing",
  },
  { name: "the server's numbers for no admin", send: mine("/metrics"), status: 403, code: "scope_missing" },
  { name: "a forged link", send: link(flipped), status: 404, code: "link_invalid" },
  {
    name: "a link without a signature",
    send: link((token) => token.split(".")[0] ?? ""),
    status: 404,
    code: "link_invalid",
  },
  {
    name: "a link that names another run",
    send: link((token) => `${btoa('["a","b","result",9e15]').replace(/=/g, "")}.${token.split(".")[1]}`),
    status: 404,
    code: "link_invalid",
  },
  {
    name: "a link to a stream as one to a result",
    send: link((token) => token, 60_000, "stream"),
    status: 404,
    code: "link_invalid",
  },
  { name: "a link that has expired", send: link((token) => token, -1), status: 410, code: "link_expired" },
  { name: "a webhook without a signature", send: hook(() => ({})), ...unverified },
  { name: "a webhook with another body", send: hook(same, new Date(), BODY.replace("dog", "cat")), ...unverified },
  {
    name: "a webhook under another id",
    send: hook((signed) => ({ ...signed, "webhook-id": "msg_other" })),
    ...unverified,
  },
  { name: "a webhook of ten minutes ago, sent again", send: hook(same, new Date(Date.now() - 600_000)), ...unverified },
  { name: "a webhook of ten minutes ahead", send: hook(same, new Date(Date.now() + 600_000)), ...unverified },
  {
    name: "a webhook signed with another secret",
    send: hook((signed) => ({
      ...signed,
      "webhook-signature": new Webhook("whsec_" + "A".repeat(32)).sign("msg_hostile", new Date(), BODY),
    })),
    ...unverified,
  },
  {
    name: "a webhook to a hook that is not there",
    send: ({ keyed }) => fetch(`${keyed}/v1/hooks/..%2fshop`, { method: "POST", body: BODY }),
    status: 404,
    code: "hook_not_found",
  },
  {
    name: "an idempotency key with another body",
    send: async (target) => {
      const send = (prompt: string) => postJson(target, IMAGES, { prompt, steps: 1 }, { "idempotency-key": "hostile" });
      await (await send("a dog")).body?.cancel();
      return await send("a cat");
    },
    status: 422,
    code: "idempotency_key_reused",
  },
];
