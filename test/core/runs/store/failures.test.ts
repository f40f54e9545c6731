import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { putBlob, readBlob } from "../../../../core/runs/store/blobs.ts";
import type { KvClient } from "../../../../core/runs/store/client.ts";
import { conflict } from "../../../../core/runs/store/failures.ts";
import { KvStore } from "../../../../core/runs/store/kv_store.ts";
import { openStore } from "../../../../core/runs/store/open.ts";
import { DenokvServer, TOKEN } from "../../../../commands/lib/denokv.ts";
import { findDenokv } from "./servers.ts";

const OPEN = new URL("../../../../core/runs/store/open.ts", import.meta.url).href;
let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "unmask-store-" });
});
afterAll(() => Deno.remove(folder, { recursive: true }));

/** Runs code with `openStore` in a process of its own; what it printed. */
async function elsewhere(code: string, wrap: readonly string[] = []): Promise<string> {
  const source = `import { openStore } from ${JSON.stringify(OPEN)};\n${code}`;
  const file = await Deno.makeTempFile({ dir: folder, suffix: ".ts" });
  await Deno.writeTextFile(file, source);
  const [command = "", ...args] = [...wrap, Deno.execPath(), "run", "-A", "--no-check", "--unstable-kv", file];
  const { stdout, stderr } = await new Deno.Command(command, { args, cwd: new URL("../../../..", import.meta.url) })
    .output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

test("a second process at the same file refuses to start, and names denokv", async () => {
  const path = `${folder}/shared.kv`;
  const first = await openStore(path);
  const attempt = `try { await openStore(${JSON.stringify(path)}); console.log("opened"); }
    catch (error) { console.log(error.code, error.fix); }`;
  expect(await elsewhere(attempt)).toMatch(/^store_in_use .*denokv --sqlite-path/);
  await expect(openStore(path)).rejects.toMatchObject({ code: "store_in_use" });
  await first.commit({ sets: [{ key: ["a"], value: 1 }] });
  await first.close();
  expect(await elsewhere(attempt.replace('console.log("opened")', 'console.log("opened"); Deno.exit(0)'))).toMatch(
    /^opened/,
  );
  const again = await openStore(path);
  expect((await again.get(["a"]))?.value).toBe(1);
  await again.close();
});

test("a process that was killed leaves no lock behind", async () => {
  const path = `${folder}/killed.kv`;
  await elsewhere(`await openStore(${JSON.stringify(path)}); Deno.kill(Deno.pid, "SIGKILL");`);
  await (await openStore(path)).close();
});

/** Writes until it fails, makes room, and writes again. */
const FILL = (path: string, filler: string) => `
  const store = await openStore(${JSON.stringify(path)});
  const put = (i) => store.commit({ sets: [{ key: ["fill", i], value: new Uint8Array(60000) }] });
  let i = 0;
  try { for (; i < 1000; i++) await put(i); console.log("never full"); }
  catch (error) { console.log(error.name, error.code, "|", error.fix); }
  console.log("kept", (await store.list({ prefix: ["fill"], limit: 1000 })).entries.length === i);
  ${filler === "" ? "" : `await Deno.remove(${JSON.stringify(filler)}); console.log("again", (await put(i)).ok);`}
  Deno.exit(0);`;

test("a full disk: a clear error, nothing half-written, and it goes on when there is room", async (context) => {
  const disk = `${folder}/disk`;
  await Deno.mkdir(disk);
  const script = `mount -t tmpfs -o size=3m none ${disk} && head -c 1000000 /dev/zero > ${disk}/filler && exec "$@"`;
  const shell = ["unshare", "-rm", "sh", "-c", script, "sh"];
  const told = await elsewhere(FILL(`${disk}/full.kv`, `${disk}/filler`), shell);
  if (/unshare|mount:/.test(told)) {
    console.error(`*** NO FULL DISK can be made here: ${told} ***`);
    context.skip();
  }
  expect(told).toMatch(/^UnmaskError store_full \| free some space/);
  expect(told).toContain("kept true");
  expect(told).toContain("again true");
});

test("a disk that refuses a write: a clear error, and what was stored stays readable", async () => {
  const script = `trap '' XFSZ; ulimit -f 1000; exec "$@"`;
  const told = await elsewhere(FILL(`${folder}/limited.kv`, ""), ["bash", "-c", script, "bash"]);
  expect(told).toMatch(/^UnmaskError store_(write_failed|full) \|/);
  expect(told).toContain("kept true");
});

test("a folder that is not there is told as such, without this machine's paths in the message", async () => {
  const opening = openStore(`${folder}/no/such/file.kv`);
  await expect(opening).rejects.toMatchObject({ code: "store_write_failed", fix: expect.stringContaining("folder") });
  await opening.catch((error: Error) => expect(error.message).not.toContain(folder));
});

test("refused connection: told at once, for either client", async () => {
  Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  for (const client of ["deno", "npm"] as const) {
    const asked = openStore(`http://127.0.0.1:${port}`, { client, timeout_ms: 3000 }).then(async (store) => {
      await store.get(["a"]).finally(() => store.close());
    });
    await expect(asked, client).rejects.toMatchObject({
      code: "store_unreachable",
      fix: expect.stringContaining("denokv"),
    });
  }
});

test("a store that does not answer: an error in bounded time", async () => {
  const never = () => new Promise<never>(() => {});
  const silent = { getMany: never, close: () => {} } as unknown as KvClient;
  const store = new KvStore(silent, { kind: "remote", shared: true, name: "x" }, { timeout_ms: 50 });
  await expect(store.get(["a"])).rejects.toMatchObject({
    code: "store_unreachable",
    message: expect.stringContaining("50 ms"),
  });
  await store.close();
});

test("value too large: refused before the store, and as a blob it goes in", async () => {
  const store = await openStore(":memory:");
  const large = new Uint8Array(70_000).fill(7);
  await expect(store.commit({ sets: [{ key: ["a"], value: large }] })).rejects.toMatchObject({
    code: "value_too_large",
    fix: "store it as a blob",
  });
  const key = { owner: "alice", run: "run_1", name: "a" };
  await putBlob(store, key, large, "application/octet-stream");
  expect((await readBlob(store, key))?.bytes).toStrictEqual(large);
  await store.close();
});

test("version conflict, for callers to whom it is an error", () => {
  expect(conflict("the run")).toMatchObject({
    code: "store_conflict",
    status: 409,
    message: expect.stringContaining("the run"),
  });
});

const denokv = findDenokv();
describe.skipIf(denokv === null)("denokv", () => {
  test("killed and started again: errors in between, then the same data; a watch goes through", async () => {
    const server = await DenokvServer.start(denokv ?? "");
    const store = await openStore(server.address, { timeout_ms: 1000, poll_ms: 200 });
    const stop = new AbortController();
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const [a] of store.watch([["a"]], stop.signal)) seen.push(a?.value ?? null);
    })();
    await store.commit({ sets: [{ key: ["a"], value: 1 }] });
    await expect.poll(() => seen.at(-1), { timeout: 20_000 }).toBe(1);
    await server.down();
    await expect(store.get(["a"])).rejects.toMatchObject({ code: "store_unreachable" });
    await server.up();
    await expect.poll(() => store.get(["a"]).then((entry) => entry?.value, () => null), { timeout: 30_000 }).toBe(1);
    await store.commit({ sets: [{ key: ["a"], value: 2 }] });
    await expect.poll(() => seen.at(-1), { timeout: 30_000 }).toBe(2);
    stop.abort();
    await watching;
    await store.close();
    await server.stop();
  });

  test("a wrong token is told as such", async () => {
    const server = await DenokvServer.start(denokv ?? "");
    const right = Deno.env.get("DENO_KV_ACCESS_TOKEN") ?? "";
    Deno.env.set("DENO_KV_ACCESS_TOKEN", "not-the-token-of-it");
    try {
      const opening = openStore(server.address).then((store) => store.get(["a"]));
      await expect(opening).rejects.toMatchObject({ code: "store_refused" });
    } finally {
      Deno.env.set("DENO_KV_ACCESS_TOKEN", right);
      await server.stop();
    }
  });
});
