import { describe, expect, it } from "vitest";
import { appWith, double } from "./double.ts";

describe("GET /health", () => {
  it("says what is really used", async () => {
    const app = appWith();
    await Promise.resolve();
    const response = await app.request("/health");
    expect(response.status).toBe(200);
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    expect(await response.json()).toEqual({
      status: "ready",
      live: true,
      ready: true,
      model: "scenes",
      provider: "cpu",
      runtime: "double 0.0.0",
      device: "a test",
      software: false,
      threads: 1,
      loaded: [{ graph: "prompt", bytes: 300 }, { graph: "draw_prefix", bytes: 4000 }],
      weight_bytes: 4300,
    });
  });

  it("is live and not ready while the model loads, then ready", async () => {
    const { promise, resolve } = Promise.withResolvers<ReturnType<typeof double>>();
    const app = appWith(promise);
    const loading = await app.request("/health");
    expect([loading.status, await loading.json()]).toMatchObject([503, {
      status: "loading",
      live: true,
      ready: false,
    }]);
    resolve(double());
    await promise;
    expect((await app.request("/health")).status).toBe(200);
  });

  it("follows what is loaded later", async () => {
    const inference = double();
    let loaded = inference.info.loaded;
    const app = appWith({
      ...inference,
      get info() {
        return { ...inference.info, loaded };
      },
    });
    await Promise.resolve();
    expect(await (await app.request("/health")).json()).toMatchObject({ weight_bytes: 4300 });
    loaded = [...loaded, { graph: "vq_encode", bytes: 50 }];
    expect(await (await app.request("/health")).json()).toMatchObject({ loaded, weight_bytes: 4350 });
  });

  it("gives each request another id", async () => {
    const app = appWith();
    const ids = await Promise.all([1, 2].map(async () => (await app.request("/health")).headers.get("x-request-id")));
    expect(new Set(ids).size).toBe(2);
  });
});
