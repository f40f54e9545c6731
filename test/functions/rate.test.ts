import { Hono } from "hono";
import { expect, test } from "vitest";
import { onError } from "../../functions/middleware/errors.ts";
import { rateLimit } from "../../functions/middleware/rate.ts";
import { type Environment, requestId } from "../../functions/middleware/request_id.ts";

function limited(rate: number) {
  let time = 0;
  const app = new Hono<Environment>();
  app.use(requestId);
  app.use(async (context, next) => {
    const owner = context.req.header("x-owner");
    const key = { id: "k", name: "k", owner: "fast", scopes: ["read" as const], created_at: 0, rate: 100 };
    if (owner !== undefined) context.set("caller", { owner, scopes: [], key: owner === "fast" ? key : null });
    await next();
  });
  app.use(rateLimit({ rate, burst: 2, now: () => time }));
  app.get("*", (context) => context.text("ok"));
  app.onError(onError);
  const ask = async (owner?: string) =>
    await app.request("/", owner === undefined ? {} : { headers: { "x-owner": owner } });
  return { ask, pass: (ms: number) => void (time += ms) };
}

test("rates refuse what comes too fast, say when to come back, and leave others alone", async () => {
  const { ask, pass } = limited(2);
  for (let i = 0; i < 4; i++) expect((await ask("a")).status).toBe(200);
  const refused = await ask("a");
  expect(refused.headers.get("retry-after")).toBe("1");
  expect([refused.status, (await refused.json()).error?.code]).toEqual([429, "rate_limited"]);
  expect((await ask("b")).status).toBe(200);
  for (let i = 0; i < 50; i++) expect((await ask("fast")).status).toBe(200);
  pass(500);
  expect([(await ask("a")).status, (await ask("a")).status]).toEqual([200, 429]);
  // An hour saves up no more than the burst.
  pass(3_600_000);
  for (let i = 0; i < 4; i++) expect((await ask("a")).status).toBe(200);
  expect((await ask("a")).status).toBe(429);
  for (let i = 0; i < 9; i++) expect((await ask()).status).toBe(200);
});
