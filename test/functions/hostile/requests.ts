/** Headers and paths that mean to confuse. */
import { get, type HostileCase, postJson, raw } from "./case.ts";

const IMAGES = "/v1/images/generations";
const drawn = (headers: Record<string, string>): HostileCase["send"] => (target) =>
  postJson(target, IMAGES, { prompt: "a dog", steps: 1 }, headers);
const path = (path: string): HostileCase["send"] => ({ keyed, key }) =>
  raw(keyed, `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key}\r\nconnection: close\r\n\r\n`);
const unknown = { status: 404, code: "unknown_route" };
const noRun = { status: 404, code: "run_not_found" };

export const REQUESTS: readonly HostileCase[] = [
  { name: "a path out of the page's folder", send: path("/playground/../../deno.json"), ...unknown },
  { name: "the same in percent", send: path("/playground/..%2f..%2fdeno.json"), ...unknown },
  { name: "the same in percent of percent", send: path("/playground/%252e%252e/deno.json"), ...unknown },
  { name: "a file of the server's", send: path("/functions/app.ts"), ...unknown },
  { name: "a path that begins with two slashes", send: path("//evil.example/v1/runs"), ...unknown },
  { name: "a backslash", send: path("/playground/..\\..\\deno.json"), ...unknown },
  { name: "a run called ..", send: path("/v1/runs/%2e%2e"), ...noRun },
  { name: "a run called ../keys", send: path("/v1/runs/..%2fkeys"), ...noRun },
  { name: "a run with a zero byte", send: path("/v1/runs/run_%00"), ...noRun },
  { name: "a run with broken percent", send: path("/v1/runs/%ff%fe"), ...noRun },
  {
    name: "a run with a name of 3000 characters",
    send: (target) => get(target, `/v1/runs/${"a".repeat(3000)}`),
    status: 414,
    code: "path_too_long",
  },
  {
    name: "a step that is none",
    send: (target) => get(target, `/v1/runs/${target.otherRun}/steps/../image`),
    ...unknown,
  },
  {
    name: "a page of a million runs",
    send: (target) => get(target, "/v1/runs?limit=1000000"),
    status: 400,
    code: "limit_out_of_range",
  },
  {
    name: "a cursor that was made up",
    send: (target) => get(target, "/v1/runs?cursor=AAAA"),
    status: 400,
    code: "cursor_invalid",
  },
  {
    name: "a method that is none",
    send: ({ keyed, key }) =>
      fetch(`${keyed}${IMAGES}`, { method: "FOO", headers: { authorization: `Bearer ${key}` } }),
    status: 405,
    code: "method_not_allowed",
  },
  {
    name: "TRACE",
    send: ({ keyed, key }) => raw(keyed, `TRACE / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n\r\n`),
    status: 405,
    code: "method_not_allowed",
  },
  {
    name: "an idempotency key with a line's end",
    send: ({ keyed, key }) =>
      raw(
        keyed,
        `POST ${IMAGES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\nidempotency-key: a\u0007b\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n{"prompt":"a dog"}`,
      ),
    status: 400,
    code: null,
  },
  {
    name: "an idempotency key of 300 characters",
    send: drawn({ "idempotency-key": "k".repeat(300) }),
    status: 400,
    code: "idempotency_key_invalid",
  },
  {
    name: "an idempotency key in Latin-1",
    send: drawn({ "idempotency-key": "schlüssel" }),
    status: 400,
    code: "idempotency_key_invalid",
  },
  { name: "a wait of a year", send: drawn({ prefer: "wait=31536000" }), status: 400, code: "prefer_invalid" },
  {
    name: "a header of 300 KB",
    send: ({ keyed }) => raw(keyed, `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${"x".repeat(300_000)}\r\n\r\n`),
    // The runtime's own limit on headers.
    status: 400,
    code: null,
  },
  {
    name: "no HTTP at all",
    send: ({ keyed }) => raw(keyed, "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
    status: 400,
    code: null,
  },
  {
    name: "an override of the method",
    send: (target) => get(target, "/v1/keys", { "x-http-method-override": "DELETE" }),
    status: 403,
    code: "scope_missing",
  },
  {
    name: "a path from a proxy's header",
    send: (target) => get(target, "/nothing", { "x-original-url": "/v1/runs", "x-rewrite-url": "/v1/runs" }),
    ...unknown,
  },
];

const at = (headers: Record<string, string>, path = "/v1/runs"): HostileCase["send"] => ({ open }) => {
  const lines = Object.entries({ host: new URL(open).host, connection: "close", ...headers });
  return raw(open, `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}`).join("\r\n")}\r\n\r\n`);
};

/** What pages in this machine's browser would send to a server without keys. */
export const LOOPBACK: readonly HostileCase[] = [
  {
    name: "a name that leads here (rebinding)",
    send: at({ host: "evil.example" }),
    status: 421,
    code: "host_not_allowed",
  },
  { name: "the same with our port", send: at({ host: "evil.example:8000" }), status: 421, code: "host_not_allowed" },
  {
    name: "a name that begins like ours",
    send: at({ host: "localhost.evil.example" }),
    status: 421,
    code: "host_not_allowed",
  },
  { name: "an address that is every one", send: at({ host: "0.0.0.0" }), status: 421, code: "host_not_allowed" },
  { name: "a foreign origin", send: at({ origin: "https://evil.example" }), status: 403, code: "origin_not_allowed" },
  {
    name: "another port's origin",
    send: at({ origin: "http://localhost:3000" }),
    status: 403,
    code: "origin_not_allowed",
  },
  { name: "a sandboxed page's origin", send: at({ origin: "null" }), status: 403, code: "origin_not_allowed" },
  {
    name: "a picture on another site's page",
    send: at({ "sec-fetch-site": "cross-site" }),
    status: 403,
    code: "origin_not_allowed",
  },
  {
    name: "a whole address with a foreign name in the first line",
    send: ({ open }) =>
      raw(open, `GET http://evil.example/v1/runs HTTP/1.1\r\nhost: ${new URL(open).host}\r\nconnection: close\r\n\r\n`),
    status: 421,
    code: "host_not_allowed",
  },
  {
    name: "a form that another page posts",
    send: ({ open }) => fetch(`${open}/v1/runs`, { method: "POST", body: new URLSearchParams({ task: "draw" }) }),
    status: 403,
    code: "write_not_proven",
  },
  {
    name: "JSON as plain text, as a form can send it",
    send: ({ open }) =>
      fetch(`${open}/v1/runs`, { method: "POST", body: '{"task":"draw"}', headers: { "content-type": "text/plain" } }),
    status: 403,
    code: "write_not_proven",
  },
  {
    name: "a preflight",
    send: ({ open }) =>
      fetch(`${open}/v1/runs`, {
        method: "OPTIONS",
        headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
      }),
    status: 403,
    code: "origin_not_allowed",
  },
];
