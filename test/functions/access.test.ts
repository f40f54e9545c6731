import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ApiKeys } from "../../core/runs/api_keys.ts";
import { openMemory } from "../../core/runs/store/open.ts";
import type { Store } from "../../core/runs/store/types.ts";
import { createApp } from "../../functions/app.ts";
import { doubleOptions, IMAGES, json } from "./double.ts";

let store: Store;
let now: number;
let keys: ApiKeys;

beforeEach(async () => {
  store = await openMemory();
  now = 1_000_000;
  keys = new ApiKeys(store, () => now);
});
afterEach(() => store.close());

type Access = NonNullable<Parameters<typeof createApp>[0]["access"]>;

function appOf(access: Partial<Access> = {}) {
  return createApp({
    ...doubleOptions(),
    access: { policy: "keys", keys: Promise.resolve(keys), ...access },
  });
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const code = async (response: Response) => [response.status, (await response.json()).error?.code];
const draw = (app: ReturnType<typeof appOf>, headers: Record<string, string>) =>
  app.request(IMAGES, { ...json({ prompt: "a dog" }), headers: { "content-type": "application/json", ...headers } });

describe("a server with keys", () => {
  test("answers a key, and nobody else", async () => {
    const { text, key } = await keys.create({ name: "shop" });
    const app = appOf();
    expect((await draw(app, bearer(text))).status).toBe(200);
    expect((await draw(app, { authorization: `Token ${text}` })).status).toBe(200);
    const missing = await draw(app, {});
    expect(missing.headers.get("www-authenticate")).toBe("Bearer");
    expect(await code(missing)).toEqual([401, "api_key_missing"]);
    for (const token of ["none", text.slice(0, -1), `umk_${"0".repeat(16)}_${"A".repeat(43)}`]) {
      expect(await code(await draw(app, bearer(token))), token).toEqual([401, "api_key_invalid"]);
    }
    for (const header of ["Basic YTpi", text, "Bearer", `Bearer ${text} ${text}`, `Bearer ${"x".repeat(600)}`]) {
      expect(await code(await draw(app, { authorization: header })), header).toEqual([401, "api_key_invalid"]);
    }
    await keys.remove(key.id);
    expect(await code(await draw(app, bearer(text)))).toEqual([401, "api_key_invalid"]);
  });

  test("says nothing to strangers but that it is there", async () => {
    const app = appOf();
    for (const path of ["/", "/health", "/favicon.svg", "/playground/style.css"]) {
      expect((await app.request(path)).status, path).toBe(200);
    }
    for (
      const path of ["/v1/runs", "/v1/models", "/v1/keys", "/metrics", "/nothing", "/healthz", "/health/../v1/runs"]
    ) {
      expect(await code(await app.request(path)), path).toEqual([401, "api_key_missing"]);
    }
  });

  test("keeps scopes apart", async () => {
    const app = appOf();
    const texts = new Map<string, string>();
    for (const scope of ["read", "infer", "admin"] as const) {
      texts.set(scope, (await keys.create({ name: scope, scopes: [scope] })).text);
    }
    const status = async (scope: string, path: string, init: RequestInit = {}) =>
      (await app.request(path, { ...init, headers: { ...init.headers, ...bearer(texts.get(scope) ?? "") } })).status;
    const post = json({ prompt: "a dog" });
    expect([await status("infer", IMAGES, post), await status("read", IMAGES, post)]).toEqual([200, 403]);
    expect([await status("read", "/nothing"), await status("infer", "/nothing")]).toEqual([404, 403]);
    expect([await status("admin", "/v1/keys"), await status("read", "/v1/keys")]).toEqual([200, 403]);
    expect(await status("infer", "/v1/keys", json({ name: "more", scopes: ["admin"] }))).toBe(403);
  });

  test("makes, lists and removes keys over HTTP for an admin", async () => {
    const app = appOf();
    const admin = bearer((await keys.create({ name: "boss", scopes: ["admin"] })).text);
    const init = json({ name: "shop", scopes: ["infer"], owner: "shop" });
    const made = await app.request("/v1/keys", { ...init, headers: { ...init.headers, ...admin } });
    expect(made.status).toBe(201);
    expect(made.headers.get("cache-control")).toBe("no-store");
    const { id, key } = await made.json();
    expect((await draw(app, bearer(key))).status).toBe(200);
    const list = await app.request("/v1/keys", { headers: admin });
    const text = await list.text();
    expect(text).toContain('"owner":"shop"');
    expect(text).not.toContain(key.slice(21));
    expect(text).not.toContain("hash");
    expect((await app.request(`/v1/keys/${id}`, { method: "DELETE", headers: admin })).status).toBe(200);
    expect(await code(await draw(app, bearer(key)))).toEqual([401, "api_key_invalid"]);
    const again = await app.request(`/v1/keys/${id}`, { method: "DELETE", headers: admin });
    expect(await code(again)).toEqual([404, "key_not_found"]);
  });
});

describe("a server that is open to its own machine", () => {
  const ask = (url: string, init: RequestInit = {}) => appOf({ policy: "open" }).request(url, init);
  const headers = (more: Record<string, string>) => ({ ...json({ prompt: "a dog" }), headers: more });
  const typed = { "content-type": "application/json" };

  test.each(["http://localhost:8000", "http://127.0.0.1", "http://[::1]:9"])("answers as %s", async (base) => {
    expect((await ask(`${base}${IMAGES}`, json({ prompt: "a dog" }))).status).toBe(200);
    const own = headers({ ...typed, origin: base });
    expect((await ask(`${base}${IMAGES}`, own)).status).toBe(200);
  });

  test.each(["http://evil.example", "http://localhost.evil.example", "http://127.0.0.1.nip.io", "http://0.0.0.0:8000"])(
    "does not answer as %s",
    async (base) => {
      for (const path of ["/health", "/", "/v1/runs", IMAGES]) {
        expect(await code(await ask(`${base}${path}`)), path).toEqual([421, "host_not_allowed"]);
      }
    },
  );

  test("refuses a Host header that says something else", async () => {
    const response = await ask("http://localhost/health", { headers: { host: "evil.example" } });
    expect(await code(response)).toEqual([421, "host_not_allowed"]);
  });

  test.each([
    "http://evil.example",
    "https://localhost:1234",
    "null",
    "http://localhost:3000",
    "file://localhost",
    "x",
  ])(
    "refuses the origin %s",
    async (origin) => {
      const response = await ask(`http://localhost:8000${IMAGES}`, headers({ ...typed, origin }));
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
      expect(await code(response)).toEqual([403, "origin_not_allowed"]);
    },
  );

  test("refuses what another site's tag or link loads, but shows it the page", async () => {
    const from = (site: string) => ({ headers: { "sec-fetch-site": site } });
    expect(await code(await ask("http://localhost/v1/runs", from("cross-site")))).toEqual([403, "origin_not_allowed"]);
    expect(await code(await ask("http://localhost/v1/runs", from("same-site")))).toEqual([403, "origin_not_allowed"]);
    expect((await ask("http://localhost/", from("cross-site"))).status).toBe(200);
    expect((await ask("http://localhost/nothing", from("same-origin"))).status).toBe(404);
  });

  test("takes writes that no form can send", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
      const response = await ask(`http://localhost${IMAGES}`, headers({ "content-type": type }));
      expect(await code(response), type).toEqual([403, "write_not_proven"]);
      const proven = await ask(`http://localhost${IMAGES}`, headers({ "content-type": type, "x-unmask": "1" }));
      expect(proven.status, type).toBe(415);
    }
    expect(await code(await ask("http://localhost/v1/x", { method: "POST" }))).toEqual([403, "write_not_proven"]);
    expect(await code(await ask("http://localhost/v1/x", { method: "DELETE" }))).toEqual([404, "unknown_route"]);
  });

  test("takes a token as a name, and a removed key as nothing", async () => {
    const { text, key } = await keys.create({ name: "a" });
    const app = appOf({ policy: "open" });
    expect((await draw(app, bearer("none"))).status).toBe(200);
    expect((await draw(app, bearer(text))).status).toBe(200);
    await keys.remove(key.id);
    expect(await code(await draw(app, bearer(text)))).toEqual([401, "api_key_invalid"]);
  });

  test("answers a preflight with nothing unless told whose pages may call", async () => {
    const preflight = {
      method: "OPTIONS",
      headers: { origin: "https://app.example", "access-control-request-method": "POST" },
    };
    const closed = await ask(`http://localhost${IMAGES}`, preflight);
    expect([closed.status, closed.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    const app = appOf({ policy: "open", origins: ["https://app.example"] });
    const opened = await app.request(`http://localhost${IMAGES}`, preflight);
    expect([opened.status, opened.headers.get("access-control-allow-origin")]).toEqual([204, "https://app.example"]);
    const foreign = await app.request(`http://localhost${IMAGES}`, headers({ ...typed, origin: "https://b.example" }));
    expect(await code(foreign)).toEqual([403, "origin_not_allowed"]);
  });
});

test("every answer carries the headers that keep browsers from guessing", async () => {
  const app = appOf();
  for (const path of ["/", "/health", "/v1/runs", "/nothing"]) {
    const { headers } = await app.request(path);
    expect(headers.get("x-content-type-options"), path).toBe("nosniff");
    expect(headers.get("x-frame-options"), path).toBe("DENY");
    expect(headers.get("content-security-policy"), path).toContain("default-src 'none'");
    expect(headers.get("referrer-policy"), path).toBe("no-referrer");
  }
});
