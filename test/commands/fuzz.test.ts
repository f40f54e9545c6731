import { expect, test } from "vitest";
import { z } from "zod";
import { fuzz } from "../../commands/fuzz.ts";
import { judge } from "../../commands/fuzz/oracle.ts";
import { json, type Operation } from "../../functions/openapi/operation.ts";
import { observers } from "../../functions/observe/observers.ts";
import { realServer } from "../functions/real_server.ts";

test("500 requests drawn from the document find nothing wrong", async () => {
  const server = await realServer({ observers: observers(), stepMilliseconds: 0 });
  try {
    const report = await fuzz(server.url, 500, 7);
    expect(report.violation).toBeNull();
    expect(report.sent).toBe(500);
    expect((await server.runs.list("anyone")).records.length, "some of them became runs").toBeGreaterThan(0);
  } finally {
    await server.stop();
  }
});

test("the oracle sees what is wrong with an answer", () => {
  const operation: Operation = {
    method: "get",
    path: "/x",
    tag: "server",
    summary: "",
    answers: { 200: [json(z.strictObject({ id: z.string() })), { type: "image/*" }] },
  };
  const error = (message: string) =>
    JSON.stringify({
      error: { message, type: "server_error", param: null, code: "c", fix: "f", request_id: "req_1" },
    });
  const ids: string[] = [];
  const verdict = (status: number, text: string, type = "application/json", headers: Record<string, string> = {}) =>
    judge(
      operation,
      { status, headers: new Headers({ "x-request-id": "req_1", ...headers }) },
      type,
      text,
      (id) => ids.push(id),
    );
  expect(verdict(200, '{"id":"run_1"}')).toBeNull();
  expect(ids).toEqual(["run_1"]);
  expect(verdict(200, "", "image/png")).toBeNull();
  expect(verdict(400, error("no"))).toBeNull();
  expect(verdict(503, error("full"), "application/json", { "retry-after": "1" })).toBeNull();
  expect(verdict(501, error("no engine"))).toBeNull();
  expect(verdict(200, '{"id":1}')).toMatch(/schema/);
  expect(verdict(200, "hello", "text/plain")).toMatch(/not documented/);
  expect(verdict(201, "{}")).toMatch(/not documented/);
  expect(verdict(400, '{"error":"no"}')).toMatch(/no error of ours/);
  expect(verdict(500, error("oops"))).toMatch(/^500/);
  expect(verdict(503, error("full"))).toMatch(/Retry-After/);
  expect(verdict(400, error("in file:///home/me/x.ts"))).toMatch(/leak/);
  expect(verdict(400, error("Error\n    at read (file:///x.ts:1:2)"))).toMatch(/leak/);
  expect(judge(operation, { status: 200, headers: new Headers() }, "image/png", "", () => {})).toMatch(/x-request-id/);
});
