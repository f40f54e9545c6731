import { afterEach, beforeEach, expect, test } from "vitest";
import { soak } from "../../commands/soak.ts";
import { type RealServer, realServer } from "../functions/real_server.ts";

let server: RealServer;
beforeEach(async () => {
  server = await realServer({ stepMilliseconds: 1 });
});
afterEach(() => server.stop());

const short = (url: string) => soak({ url, pid: Deno.pid }, 0.1, new AbortController().signal, () => {});

test("eight clients of two keys draw through three doors, and all of it is counted", async () => {
  const report = await short(server.url);
  expect(report).toMatchObject({ failed: 0, failure: null });
  expect(report.pictures).toBeGreaterThan(0);
  expect(report.shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
  expect(report.memory[0]).toBeGreaterThan(0);
  // The runs are those of two keys, and nobody else's.
  const { entries } = await server.store.list({ prefix: ["run"], limit: 1000 });
  expect(new Set(entries.map(({ key }) => key[1])).size).toBe(2);
});

test("a door that fails is a failure, with what it said", async () => {
  const broken = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/v1/keys") return Response.json({ key: "umk_x" }, { status: 201 });
    if (pathname === "/predictions") return Response.json({ error: { code: "queue_full" } }, { status: 503 });
    return Response.json({ data: [{ b64_json: "" }], output: "data:," });
  });
  try {
    const report = await short(`http://127.0.0.1:${broken.addr.port}`);
    expect(report.failed).toBeGreaterThan(0);
    expect(report.failure).toMatch(/^\/predictions: 503 .*queue_full/);
    expect(report.passed).toBe(false);
  } finally {
    await broken.shutdown();
  }
});
