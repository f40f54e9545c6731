/**
 * What a public endpoint is sent on its first day, as a table: each input with the answer that it must get. And of all of
 * them: no server error, no path of this machine, no stack, and a server that still works afterwards.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ended } from "../../core/runs/follow.ts";
import { parseWebhookSettings } from "../../core/runs/webhooks/settings.ts";
import { newSecret } from "../../core/runs/webhooks/endpoint.ts";
import { createApp } from "../../functions/app.ts";
import { DEFAULT_LIMITS } from "../../functions/middleware/limits.ts";
import { pictureFetcher } from "../../functions/routes/openai/fetch_picture.ts";
import { double } from "./double.ts";
import { ADDRESSES } from "./hostile/addresses.ts";
import { BODIES } from "./hostile/bodies.ts";
import { type HostileCase, postJson, type Target } from "./hostile/case.ts";
import { PICTURES } from "./hostile/pictures.ts";
import { PROOFS } from "./hostile/proofs.ts";
import { LOOPBACK, REQUESTS } from "./hostile/requests.ts";
import type { TestHouse } from "./house_of.ts";
import { seeingHouse } from "./seeing_house.ts";

type Listening = Deno.HttpServer<Deno.NetAddr>;
let house: TestHouse;
let outside: Listening;
const servers: Listening[] = [];
let target: Target;

const listen = (handler: Deno.ServeHandler): Listening => {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, onError: () => new Response() },
    handler,
  );
  servers.push(server);
  return server;
};

/** The one host outside. */
function misbehave({ url }: Request): Response | Promise<Response> {
  const redirect = (location: string) => new Response(null, { status: 302, headers: { location } });
  switch (new URL(url).pathname) {
    case "/inside":
      return redirect("http://inside.example/x.png");
    case "/file":
      return redirect("file:///etc/passwd");
    case "/loop":
      return redirect("/loop");
    case "/endless":
      return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(10_000)) }));
    case "/slow":
      return new Promise(() => {});
    default:
      return new Response("<html>no picture</html>", { headers: { "content-type": "image/png" } });
  }
}

let rebindings = 0;
/** Names of this test's world; 127.0.0.1 stands for the one public host. */
function resolve(host: string): Promise<readonly string[]> {
  if (host === "rebinding.example") return Promise.resolve(rebindings++ === 0 ? ["127.0.0.1"] : ["10.0.0.1"]);
  const known: Readonly<Record<string, readonly string[]>> = {
    "outside.example": ["127.0.0.1"],
    "inside.example": ["10.0.0.1"],
    "mixed.example": ["127.0.0.1", "10.0.0.1"],
  };
  return Promise.resolve(known[host] ?? ["::1"]);
}

beforeAll(async () => {
  house = await seeingHouse();
  outside = listen(misbehave);
  // A literal address is loopback to everybody else; by name it is the host outside.
  const fetchPicture = pictureFetcher({
    resolve,
    forbidden: (address) => address !== "127.0.0.1",
    timeout: 15_000,
    maximumBytes: 100_000,
  });
  const literal = pictureFetcher({ timeout: 15_000, resolve });
  const door = {
    ...house.door,
    fetchPicture: (url: string) => (/^https?:\/\/[a-z]+\.example[:/]/.test(url) ? fetchPicture(url) : literal(url)),
  };
  const { runs, engine, encode } = door;
  const hookSecret = newSecret();
  const { hooks } = parseWebhookSettings(JSON.stringify({
    hooks: [{ name: "shop", secrets: [hookSecret], owner: "shop", task: "draw", take: { prompt: "data.text" } }],
  }));
  const options = {
    inference: Promise.resolve(double()),
    runs: Promise.resolve({
      runs,
      engine,
      encode,
      decode: () => Promise.reject(new Error("no masks")),
      imageSize: 128,
    }),
    protocols: Promise.resolve(door),
    hooks: Promise.resolve({ runs, hooks }),
    limits: { ...DEFAULT_LIMITS, bodyMilliseconds: 6000 },
  };
  const rate = { rate: 10_000 };
  const keys = Promise.resolve(house.keys);
  const keyed = listen(createApp({ ...options, access: { policy: "keys", keys, rate } }).fetch);
  const open = listen(createApp({ ...options, access: { policy: "open", keys, rate } }).fetch);
  const [key, other, read, removed] = [
    await house.keys.create({ name: "mine" }),
    await house.keys.create({ name: "other" }),
    await house.keys.create({ name: "read", scopes: ["read"] }),
    await house.keys.create({ name: "removed" }),
  ];
  await house.keys.remove(removed.key.id);
  const { record } = await runs.create(other.key.owner, {
    task: "draw",
    input: { prompt: "a dog", steps: 2, seed: 1 },
  });
  await ended(runs.ledger, record.owner, record.id, AbortSignal.timeout(60_000));
  target = {
    keyed: `http://127.0.0.1:${keyed.addr.port}`,
    open: `http://127.0.0.1:${open.addr.port}`,
    key: key.text,
    otherKey: other.text,
    otherRun: record.id,
    readKey: read.text,
    removedKey: removed.text,
    owner: record.owner,
    runs,
    keys: house.keys,
    links: house.links,
    door,
    hookSecret,
    outside: `http://outside.example:${outside.addr.port}`,
  };
});
afterAll(async () => {
  const stopped = Promise.all(servers.map((server) => server.shutdown()));
  await Promise.race([stopped, new Promise((done) => setTimeout(done, 500))]);
  await house?.close();
});

/** What no answer may hold: paths, stacks, names of libraries, and anything of a key. */
const LEAKS =
  /file:\/\/|\/work\/|\/home\/|node_modules|\.ts\b|\n\s+at |ZodError|TypeError|RangeError|umk_[0-9a-v]{16}_/;

const GROUPS: Readonly<Record<string, readonly HostileCase[]>> = {
  pictures: PICTURES,
  addresses: ADDRESSES,
  bodies: BODIES,
  requests: REQUESTS,
  "a server open to its own machine": LOOPBACK,
  proofs: PROOFS,
};

test("the corpus has at least 40 inputs, each under a name of its own", () => {
  const names = Object.values(GROUPS).flat().map(({ name }) => name);
  expect(names.length).toBeGreaterThanOrEqual(40);
  expect(new Set(names).size).toBe(names.length);
});

describe.each(Object.entries(GROUPS))("%s", (_, cases) => {
  test.each(cases.map((each) => [each.name, each] as const))("%s", async (_, { send, status, code }) => {
    const reply = await send(target);
    const text = reply instanceof Response ? await reply.text() : reply.text;
    expect([reply.status, codeOf(text)], text.slice(0, 2000)).toEqual([status, code]);
    expect(text.replaceAll(target.keyed, "")).not.toMatch(LEAKS);
  });
});

test("and afterwards both servers still draw", async () => {
  const answer = await postJson(target, "/v1/images/generations", { prompt: "a dog", steps: 2 });
  expect(answer.status).toBe(200);
  await answer.body?.cancel();
  const open = await fetch(`${target.open}/v1/images/generations`, {
    method: "POST",
    body: '{"prompt":"a dog","steps":2}',
    headers: { "content-type": "application/json" },
  });
  expect(open.status).toBe(200);
  await open.body?.cancel();
});

/** The code of an error's body, whatever comes before it on the wire. */
function codeOf(text: string): string | null {
  return /"code":"([a-z_]+)"/.exec(text)?.[1] ?? null;
}
