import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isPrivate } from "../../../core/net/addresses.ts";
import { type CallOptions, guardedCall, TooLarge } from "../../../core/net/call.ts";
import { Refused, routeTo } from "../../../core/net/guard.ts";

const to = (...addresses: string[]) => () => Promise.resolve(addresses);

describe("an address", () => {
  test.each([
    ..."0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.0.9 169.254.169.254 172.16.0.1 172.31.0.1 192.168.1.1".split(" "),
    ..."192.0.0.8 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 240.0.0.1 255.255.255.255".split(
      " ",
    ),
    ...":: ::1 ::ffff:8.8.8.8%eth0 ::ffff:10.0.0.1 ::ffff:a00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 fe80::1".split(
      " ",
    ),
    ..."fe80::1%eth0 fc00::1 fd00::1 ff02::1 2001::1 2001:10::1 2001:db8::1 2002:7f00:1::1 3fff::1 5f00::1".split(" "),
    ...["", "localhost", "1.2.3", "8.8.8.8.8"],
  ])("%s is no public host's", (address) => expect(isPrivate(address)).toBe(true));

  test.each(["8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:2800::1", "2a00:1450::1"])(
    "%s is one",
    (address) => expect(isPrivate(address)).toBe(false),
  );
});

describe("a target", () => {
  test("leads to the address that was looked at", async () => {
    const route = await routeTo("https://a.example/x?y", { resolve: to("93.184.216.34", "2606:2800::1") });
    expect([route.url.href, route.address]).toEqual(["https://a.example/x?y", "93.184.216.34"]);
  });

  test.each([
    ["no address", "not a url"],
    ["only https", "http://a.example/"],
    ["only https", "file:///etc/passwd"],
    ["only https", "gopher://a.example/"],
    ["only https", "data:text/plain,x"],
    ["name or password", "https://user@a.example/"],
    ["name or password", "https://a.example:b@127.0.0.1/"],
    // A URL's host may be written in many ways; all of these are 127.0.0.1 or the like.
    ["private", "https://127.0.0.1/"],
    ["private", "https://2130706433/"],
    ["private", "https://0x7f000001/"],
    ["private", "https://0177.0.0.1/"],
    ["private", "https://0x7f.1/"],
    ["private", "https://127.1/"],
    ["private", "https://①②⑦.0.0.1/"],
    ["private", "https://[::1]/"],
    ["private", "https://[::ffff:127.0.0.1]/"],
    ["private", "https://[::ffff:7f00:1]/"],
    ["private", "https://[64:ff9b::7f00:1]/"],
    ["private", "https://0/"],
    ["private", "https://169.254.169.254/latest/meta-data/"],
  ])("is refused (%s): %s", async (reason, target) => {
    await expect(routeTo(target, { resolve: to() })).rejects.toThrow(reason);
    await expect(routeTo(target, { resolve: to() })).rejects.toBeInstanceOf(Refused);
  });

  test("whose name leads inside, or nowhere, is refused, also by one of several addresses", async () => {
    for (const inside of ["10.0.0.1", "::1", "169.254.169.254"]) {
      const mixed = routeTo("https://a.example/", { resolve: to("93.184.216.34", inside) });
      await expect(mixed, inside).rejects.toThrow("leads to a private address");
    }
    await expect(routeTo("https://a.example/", { resolve: to() })).rejects.toThrow("no address");
    const gone = () => Promise.reject(new Error("NXDOMAIN of a.example at 10.0.0.53"));
    await expect(routeTo("https://a.example/", { resolve: gone })).rejects.toThrow(/^its name has no address$/);
    await expect(routeTo("https://localhost/")).rejects.toThrow("leads to a private address");
  });
});

describe("a call", () => {
  let server: Deno.HttpServer<Deno.NetAddr>;
  let seen: string[];
  const answers: Record<string, () => Response | Promise<Response>> = {
    "/ok": () => new Response("fine", { headers: { "retry-after": "7" } }),
    "/away": () => new Response(null, { status: 302, headers: { location: "/ok" } }),
    "/inside": () => new Response(null, { status: 302, headers: { location: "http://inside.example/ok" } }),
    "/file": () => new Response(null, { status: 302, headers: { location: "file:///etc/passwd" } }),
    "/loop": () => new Response(null, { status: 302, headers: { location: "/loop" } }),
    "/large": () => new Response(new Uint8Array(5000)),
    "/endless": () =>
      new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1000)) })),
    "/slow": () => new Promise(() => {}),
    "/drip": () =>
      new Response(
        new ReadableStream({
          async pull(controller) {
            await new Promise((resolve) => setTimeout(resolve, 20));
            controller.enqueue(new Uint8Array(1));
          },
        }),
      ),
  };

  beforeEach(() => {
    seen = [];
    server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      const { host, pathname } = new URL(request.url);
      seen.push(`${request.method} ${host.split(":")[0]}${pathname}`);
      return answers[pathname]?.() ?? new Response(null, { status: 404 });
    });
  });
  afterEach(async () => {
    const stopped = server.shutdown();
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 200))]);
  });

  const hosts: Record<string, string> = { "a.example": "127.0.0.1", "inside.example": "10.0.0.1" };
  const options = (more: Partial<CallOptions> = {}): CallOptions => ({
    protocols: ["http:"],
    resolve: (host) => Promise.resolve([hosts[host] ?? "10.9.9.9"]),
    // For these tests the one public host there is.
    forbidden: (address) => address !== "127.0.0.1",
    timeout: 5000,
    maximumBytes: 4000,
    ...more,
  });
  const call = (path: string, more: Partial<CallOptions> = {}) =>
    guardedCall(`http://a.example:${server.addr.port}${path}`, options(more));

  test("goes to the address that was looked at, under its name, and looks once", async () => {
    let looks = 0;
    // Rebinding: whoever looked again would be led inside.
    const resolve = () => Promise.resolve([looks++ === 0 ? "127.0.0.1" : "10.0.0.1"]);
    const { status, headers, body } = await call("/ok", { resolve });
    expect([status, headers["retry-after"], new TextDecoder().decode(body)]).toEqual([200, "7", "fine"]);
    expect([looks, seen]).toEqual([1, ["GET a.example/ok"]]);
  });

  test("follows redirects only if told, and looks at each", async () => {
    expect((await call("/away")).status).toBe(302);
    expect((await call("/away", { redirects: 1 })).status).toBe(200);
    await expect(call("/inside", { redirects: 3 })).rejects.toThrow("leads to a private address");
    await expect(call("/file", { redirects: 3 })).rejects.toThrow("only http");
    await expect(call("/loop", { redirects: 3 })).rejects.toThrow("too often");
    expect(seen.filter((line) => line.endsWith("/loop"))).toHaveLength(4);
    expect(seen.some((line) => line.includes("inside.example"))).toBe(false);
  });

  test("reads no more than it was allowed, and waits no longer", async () => {
    await expect(call("/large")).rejects.toBeInstanceOf(TooLarge);
    await expect(call("/endless")).rejects.toBeInstanceOf(TooLarge);
    expect((await call("/large", { maximumBytes: 5000 })).body).toHaveLength(5000);
    for (const path of ["/slow", "/drip"]) {
      await expect(call(path, { timeout: 150 }), path).rejects.toMatchObject({ name: "TimeoutError" });
    }
  });
});
