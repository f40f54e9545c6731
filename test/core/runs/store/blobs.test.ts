import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type BlobKey,
  headKey,
  INLINE_BYTES,
  PART_BYTES,
  partKey,
  PARTS_WITH_HEAD,
  putBlob,
  readBlob,
  readBlobHead,
  stageBlob,
  unlinkBlob,
} from "../../../../core/runs/store/blobs.ts";
import { openStore } from "../../../../core/runs/store/open.ts";
import { deleteBlobsOf, orphanedParts, Sweeper } from "../../../../core/runs/store/sweep.ts";
import { type Key, listAll, type Store } from "../../../../core/runs/store/types.ts";

const KEY: BlobKey = { owner: "alice", run: "run_1", name: "picture" };
/** Parts of the smallest blob that is stored before its head. */
const MANY = PARTS_WITH_HEAD + 1;
const LARGE = PARTS_WITH_HEAD * PART_BYTES + 1;
const SIZES = new Set([
  ...[0, 1, INLINE_BYTES, INLINE_BYTES + 1, PART_BYTES, PART_BYTES + 1],
  ...[LARGE - 1, LARGE, 14 * PART_BYTES + 7],
]);

let store: Store;
beforeEach(async () => {
  store = await openStore(":memory:");
});
afterEach(() => store.close());

/** Bytes that differ everywhere, and from seed to seed. */
const bytes = (size: number, seed = 1) => Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8) + seed) & 255);
const keysUnder = async (prefix: string): Promise<Key[]> =>
  (await Array.fromAsync(listAll(store, { prefix: [prefix], limit: 10 }))).map((entry) => entry.key);
const sweeper = (over: boolean, options = {}) =>
  new Sweeper(store, { isOver: () => Promise.resolve(over), ...options });

test("a blob of any size comes back as it was", async () => {
  for (const size of SIZES) {
    const key = { ...KEY, name: `b${size}` };
    const head = await putBlob(store, key, bytes(size), "image/png");
    const read = await readBlob(store, key);
    expect(read?.bytes).toStrictEqual(bytes(size));
    expect(read?.head).toMatchObject({ size, type: "image/png", sha256: head.sha256 });
  }
  expect(await readBlob(store, { ...KEY, name: "none" })).toBeNull();
  expect(await readBlob(store, { ...KEY, owner: "bob", name: "b1" })).toBeNull();
  expect(await keysUnder("blob_mark")).toStrictEqual([]);
});

for (const size of [200_000, LARGE]) {
  test(`nothing is seen before the head, and the head comes with the caller's own record: ${size} bytes`, async () => {
    const staged = await stageBlob(store, KEY, bytes(size), "image/png");
    expect(await readBlob(store, KEY)).toBeNull();
    expect(await keysUnder("blob_part")).toHaveLength(size === LARGE ? MANY : 0);
    expect(await keysUnder("blob_mark")).toHaveLength(size === LARGE ? 1 : 0);
    const record = { key: ["record"], value: { done: true } };
    const lost = await store.commit({
      checks: [...staged.checks, { key: ["record"], version: "00000000000000000001" }],
      sets: [...staged.sets, record],
      deletes: staged.deletes,
    });
    expect(lost.ok).toBe(false);
    expect(await readBlob(store, KEY)).toBeNull();
    expect((await store.commit({ ...staged, sets: [...staged.sets, record] })).ok).toBe(true);
    expect((await readBlob(store, KEY))?.bytes).toStrictEqual(bytes(size));
    expect(await keysUnder("blob_mark")).toStrictEqual([]);
  });
}

test("two blobs that come with their heads fit in one commit", async () => {
  const names = ["result", "state"];
  const staged = await Promise.all(
    names.map((name) => stageBlob(store, { ...KEY, name }, bytes(LARGE - 1), "image/png")),
  );
  await store.commit({
    checks: staged.flatMap(({ checks }) => checks),
    sets: [...staged.flatMap(({ sets }) => sets), { key: ["record"], value: bytes(60_000) }],
  });
  for (const name of names) expect((await readBlob(store, { ...KEY, name }))?.bytes).toStrictEqual(bytes(LARGE - 1));
});

test("who wrongly says that there is no blob yet is refused", async () => {
  await putBlob(store, KEY, bytes(100, 1), "image/png");
  expect((await store.commit(await stageBlob(store, KEY, bytes(100, 2), "image/png", null))).ok).toBe(false);
  expect((await readBlob(store, KEY))?.bytes).toStrictEqual(bytes(100, 1));
});

test("a new blob of the name replaces the old one whole, and its parts are swept", async () => {
  await putBlob(store, KEY, bytes(200_000, 1), "image/png");
  await putBlob(store, KEY, bytes(100_000, 2), "image/png");
  expect((await readBlob(store, KEY))?.bytes).toStrictEqual(bytes(100_000, 2));
  expect(await orphanedParts(store)).toHaveLength(4);
  expect(await sweeper(true).sweep()).toMatchObject({ uploads: 1, parts: 4 });
  expect(await orphanedParts(store)).toStrictEqual([]);
  expect((await readBlob(store, KEY))?.bytes).toStrictEqual(bytes(100_000, 2));
});

test("of two uploads of one name the second to finish is told", async () => {
  const first = await stageBlob(store, KEY, bytes(100_000, 1), "image/png");
  await putBlob(store, KEY, bytes(100_000, 2), "image/png");
  expect((await store.commit(first)).ok).toBe(false);
  expect((await readBlob(store, KEY))?.bytes).toStrictEqual(bytes(100_000, 2));
});

test("damage is told: a bit, a part, a length, a hash, a head's own bytes", async () => {
  const damages: [number, (upload: string) => Promise<unknown>][] = [
    [100_000, (upload) => flip(partKey(KEY, upload, 1))],
    [100_000, (upload) => store.commit({ deletes: [partKey(KEY, upload, 0)] })],
    [100_000, (upload) => store.commit({ sets: [{ key: partKey(KEY, upload, 1), value: new Uint8Array(3) }] })],
    [100_000, (upload) => store.commit({ sets: [{ key: partKey(KEY, upload, 1), value: bytes(70_000 - 10_000) }] })],
    [100_000, () => head({ sha256: "00" })],
    [100, () => head({ inline: bytes(100, 2) })],
    [100, () => head({ inline: null })],
  ];
  async function flip(key: Key) {
    const part = (await store.get<Uint8Array>(key))?.value;
    if (part?.[0] === undefined) throw new Error("no part");
    part[0] ^= 1;
    await store.commit({ sets: [{ key, value: part }] });
  }
  const head = async (changes: object) =>
    await store.commit({ sets: [{ key: headKey(KEY), value: { ...await readBlobHead(store, KEY), ...changes } }] });
  for (const [size, damage] of damages) {
    const { upload } = await putBlob(store, KEY, bytes(size), "image/png");
    expect(await readBlob(store, KEY)).not.toBeNull();
    await damage(upload ?? "");
    await expect(readBlob(store, KEY)).rejects.toMatchObject({ code: "blob_corrupt", fix: expect.any(String) });
    // The run can go on: the name takes a new blob.
    await putBlob(store, KEY, bytes(size), "image/png");
    expect((await readBlob(store, KEY))?.bytes).toStrictEqual(bytes(size));
  }
});

test("the sweep leaves an upload of a living run alone until it has not moved for the grace period", async () => {
  let clock = 0;
  const living = sweeper(false, { grace_ms: 1000, monotonic: () => clock });
  const staged = await stageBlob(store, KEY, bytes(LARGE), "image/png");
  expect(await living.sweep()).toMatchObject({ uploads: 0 });
  clock = 999;
  expect(await living.sweep()).toMatchObject({ uploads: 0 });
  expect((await store.commit(staged)).ok).toBe(true);
  await stageBlob(store, { ...KEY, name: "dead" }, bytes(LARGE), "image/png");
  clock = 1998;
  expect(await living.sweep()).toMatchObject({ uploads: 0 });
  clock = 2998;
  expect(await living.sweep()).toMatchObject({ uploads: 1, parts: MANY });
  expect(await orphanedParts(store)).toStrictEqual([]);
  expect((await readBlob(store, KEY))?.bytes).toStrictEqual(bytes(LARGE));
});

test("an upload that was given up cannot be finished: no head without its parts", async () => {
  const staged = await stageBlob(store, KEY, bytes(LARGE), "image/png");
  expect(await sweeper(true).sweep()).toMatchObject({ uploads: 1, parts: MANY });
  expect((await store.commit(staged)).ok).toBe(false);
  expect(await readBlob(store, KEY)).toBeNull();
});

test("a sweep of what a writer has died in the middle of leaves nothing", async () => {
  await stageBlob(store, KEY, bytes(LARGE), "image/png");
  const [part] = await keysUnder("blob_part");
  if (part === undefined) throw new Error("no part");
  await store.commit({ deletes: [part] });
  await sweeper(true).sweep();
  for (const prefix of ["blob", "blob_part", "blob_mark"]) expect(await keysUnder(prefix)).toStrictEqual([]);
});

test("unlinking hides a blob at once; deleting a run's leaves the other run's", async () => {
  const other = { ...KEY, run: "run_2" };
  for (const key of [KEY, other]) await putBlob(store, key, bytes(100_000), "image/png");
  await store.commit(await unlinkBlob(store, KEY));
  expect(await readBlob(store, KEY)).toBeNull();
  await putBlob(store, KEY, bytes(150_000), "image/png");
  expect(await deleteBlobsOf(store, "alice", "run_1")).toBe(1);
  expect(await orphanedParts(store)).toStrictEqual([]);
  expect(await keysUnder("blob_mark")).toStrictEqual([]);
  expect((await readBlob(store, other))?.bytes).toStrictEqual(bytes(100_000));
});
