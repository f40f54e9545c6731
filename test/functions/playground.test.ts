import { describe, expect, it } from "vitest";
import { ORDERS } from "../../core/diffusion/order/order.ts";
import { appWith } from "./double.ts";

/** As a browser asks. */
const HTML = { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } };

describe("the page at /", () => {
  it("lets the browser talk to this server and to nobody else", async () => {
    const response = await appWith().request("/", HTML);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("x-frame-options")).toBe("DENY");
    expect(response.headers.get("referrer-policy")).toBe("no-referrer");
    expect(response.headers.has("access-control-allow-origin")).toBe(false);
  });

  it("refers only to files that this server has, and holds nothing that its policy forbids", async () => {
    const app = appWith();
    const html = await (await app.request("/", HTML)).text();
    const references = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(references.length).toBeGreaterThan(3);
    for (const path of references) {
      expect((await app.request(path)).status, path).toBe(200);
    }
    expect(html).not.toMatch(/<script(?![^>]*src=)|<style|\sstyle="|\son[a-z]+="/);
  });

  it("finds by id only what the page has, and names a label for every field", async () => {
    const app = appWith();
    const html = await (await app.request("/", HTML)).text();
    const script = await (await app.request("/playground/page.js")).text();
    const asked = [...script.matchAll(/element\("([^"]+)"/g)].map((match) => match[1]);
    expect(asked.length).toBeGreaterThan(10);
    for (const id of asked) expect(html).toContain(`id="${id}"`);
    for (const [, id] of html.matchAll(/<(?:input|select|textarea) id="([^"]+)"/g)) {
      expect(html).toContain(`<label for="${id}"`);
    }
  });

  it("offers the orders that the API takes", async () => {
    const app = appWith();
    const html = await (await app.request("/", HTML)).text();
    const select = /<select id="order"[\s\S]*?<\/select>/.exec(html)?.[0] ?? "";
    expect([...select.matchAll(/<option>([^<]+)/g)].map((match) => match[1])).toEqual([...ORDERS]);
  });
});
