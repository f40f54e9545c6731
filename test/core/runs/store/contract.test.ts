import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LIMITS } from "../../../../core/runs/store/limits.ts";
import { type Key, listAll, type Page, type Store } from "../../../../core/runs/store/types.ts";
import { kinds, type Place } from "./servers.ts";

/** What every store must do, whatever lies behind it. Each test keeps to keys of its own. */
for (const kind of kinds()) {
  describe.skipIf(kind.missing !== null)(`store: ${kind.name}`, () => {
    let place: Place;
    let store: Store;
    let now = 1_000_000;
    beforeAll(async () => {
      place = await kind.place();
      store = await place.open({ now: () => now, poll_ms: 200 });
    });
    afterAll(async () => {
      await store?.close();
      await place?.remove();
    });
    const put = async (key: Key, value: unknown) => {
      const result = await store.commit({ sets: [{ key, value }] });
      if (!result.ok) throw new Error("refused");
      return result.version;
    };

    test("values come back as they were, bytes among them", async () => {
      const value = {
        id: "run_1",
        n: [1, 2.5, -0.125],
        nothing: null,
        yes: true,
        text: "Grüße, 世界 \u0000",
        ids: new Uint8Array([0, 1, 254, 255]),
        deep: [{ bytes: new Uint8Array(0) }, { $bytes: "no magic" }],
        left_out: undefined,
      };
      await put(["values", "a", 1], value);
      const entry = await store.get<typeof value>(["values", "a", 1]);
      const { left_out: _, ...rest } = value;
      expect(entry?.value).toStrictEqual(rest);
      expect(entry?.key).toStrictEqual(["values", "a", 1]);
      expect(entry?.value.ids.byteOffset).toBe(0);
      expect(await store.get(["values", "a", 2])).toBeNull();
      await put(["values", "bytes"], new Uint8Array([7]));
      expect((await store.get(["values", "bytes"]))?.value).toStrictEqual(new Uint8Array([7]));
    });

    test("what is neither JSON nor bytes is refused, by name", async () => {
      for (const value of [1n, new Date(), new Map(), NaN, Infinity, () => 1, new Uint16Array(1), undefined]) {
        await expect(put(["bad"], { deep: [value, 1] })).rejects.toMatchObject({ code: "value_not_storable" });
      }
      expect(await store.get(["bad"])).toBeNull();
    });

    test("get many keeps the order of the keys, more than ten of them too", async () => {
      await store.commit({
        sets: Array.from({ length: 25 }, (_, i) => ({ key: ["many", i], value: i })),
      });
      const order = Array.from({ length: 30 }, (_, i) => (i * 7) % 30);
      const entries = await store.getMany<number>(order.map((i) => ["many", i]));
      expect(entries.map((entry) => entry?.value ?? null)).toStrictEqual(order.map((i) => i < 25 ? i : null));
    });

    test("listing: order of keys, limits, cursors, ends, reverse", async () => {
      const names: Key[] = [["list", "a"], ["list", "b", 10], ["list", "b", 9], ["list", "c"], ["list", "é"], [
        "list",
        2,
      ]];
      await store.commit({ sets: names.map((key) => ({ key, value: 0 })) });
      await store.commit({ sets: [{ key: ["list"], value: 0 }, { key: ["lisu"], value: 0 }] });
      const sorted = [["list", "a"], ["list", "b", 9], ["list", "b", 10], ["list", "c"], ["list", "é"], ["list", 2]];
      const pages: Key[][] = [];
      let cursor: string | null = null;
      do {
        const page: Page = await store.list({ prefix: ["list"], limit: 4, cursor });
        pages.push(page.entries.map((entry) => entry.key));
        cursor = page.cursor;
      } while (cursor !== null);
      expect(pages.flat()).toStrictEqual(sorted);
      expect(pages[0]).toHaveLength(4);
      const keys = async (options: object) =>
        (await store.list({ prefix: ["list"], ...options })).entries.map((entry) => entry.key);
      expect(await keys({ prefix: ["list", "b"] })).toStrictEqual([["list", "b", 9], ["list", "b", 10]]);
      expect(await keys({ reverse: true, limit: 2 })).toStrictEqual([["list", 2], ["list", "é"]]);
      expect(await keys({ start: ["list", "b", 10], end: ["list", "é"] })).toStrictEqual([["list", "b", 10], [
        "list",
        "c",
      ]]);
      await expect(store.list({ prefix: ["list"], limit: 1001 })).rejects.toThrow(RangeError);
      expect((await Array.fromAsync(listAll(store, { prefix: ["list"], limit: 1 }))).length).toBe(6);
    });

    test("a commit happens whole or not at all", async () => {
      const version = await put(["atomic", "a"], 1);
      const both = (check: string | null) =>
        store.commit({
          checks: [{ key: ["atomic", "a"], version: check }],
          sets: [{ key: ["atomic", "a"], value: 2 }, { key: ["atomic", "b"], value: 2 }],
          deletes: [["atomic", "c"]],
        });
      await put(["atomic", "c"], 1);
      expect(await both(null)).toStrictEqual({ ok: false });
      expect(await store.get(["atomic", "b"])).toBeNull();
      expect(await store.get(["atomic", "c"])).not.toBeNull();
      const second = await both(version);
      expect(second.ok).toBe(true);
      expect(await both(version)).toStrictEqual({ ok: false });
      const [a, b, c] = await store.getMany([["atomic", "a"], ["atomic", "b"], ["atomic", "c"]]);
      expect([a?.value, b?.value, c]).toStrictEqual([2, 2, null]);
      expect(a?.version).toBe(second.ok ? second.version : "");
      expect(a?.version).not.toBe(version);
    });

    test("expected absent: of many at once, one wins", async () => {
      const wins = await Promise.all(
        Array.from(
          { length: 20 },
          (_, i) => store.commit({ checks: [{ key: ["claim"], version: null }], sets: [{ key: ["claim"], value: i }] }),
        ),
      );
      expect(wins.filter((win) => win.ok)).toHaveLength(1);
      expect((await store.get(["claim"]))?.value).toBe(wins.findIndex((win) => win.ok));
    });

    test("compare and set from many loops loses no step", async () => {
      await put(["counter"], 0);
      const loops = Array.from({ length: 8 }, async () => {
        for (let done = 0; done < 10;) {
          const entry = await store.get<number>(["counter"]);
          if (entry === null) throw new Error("gone");
          const next = { key: ["counter"], value: entry.value + 1 };
          if ((await store.commit({ checks: [entry], sets: [next] })).ok) done++;
        }
      });
      await Promise.all(loops);
      expect((await store.get(["counter"]))?.value).toBe(80);
    });

    test("a version is never used twice, not even after a delete", async () => {
      const first = await put(["again"], 1);
      await store.commit({ deletes: [["again"]] });
      const second = await put(["again"], 1);
      expect(second).not.toBe(first);
      expect((await store.commit({ checks: [{ key: ["again"], version: first }], deletes: [["again"]] })).ok).toBe(
        false,
      );
    });

    test("what fits is taken to the last byte; one more is refused before the store sees it", async () => {
      const room = LIMITS.value_bytes - 13 - "[null,[[[],65000]]]".length;
      await put(["size"], new Uint8Array(room));
      expect((await store.get<Uint8Array>(["size"]))?.value.length).toBe(room);
      await expect(put(["size"], new Uint8Array(room + 1))).rejects.toMatchObject({ code: "value_too_large" });
      await put(["k".repeat(LIMITS.key_bytes - 2)], 1);
      await expect(put(["k".repeat(LIMITS.key_bytes - 1)], 1)).rejects.toMatchObject({ code: "key_too_large" });
      await put(["\u0000".repeat(1023)], 1);
      await expect(put(["\u0000".repeat(1024)], 1)).rejects.toMatchObject({ code: "key_too_large" });
    });

    test("a commit at the limits is taken; beyond any of them it is refused with a reason", async () => {
      const sets = (count: number, bytes: number) =>
        Array.from({ length: count }, (_, i) => ({ key: ["wide", i], value: new Uint8Array(bytes) }));
      expect((await store.commit({ sets: sets(13, 60_000) })).ok).toBe(true);
      expect((await store.commit({ sets: sets(1000, 4) })).ok).toBe(true);
      const absent = (count: number) => Array.from({ length: count }, (_, i) => ({ key: ["no", i], version: null }));
      expect((await store.commit({ checks: absent(10), sets: sets(1, 1) })).ok).toBe(true);
      const refused = { code: "commit_too_large" };
      await expect(store.commit({ sets: sets(14, 60_000) })).rejects.toMatchObject(refused);
      await expect(store.commit({ sets: sets(1001, 4) })).rejects.toMatchObject(refused);
      await expect(store.commit({ checks: absent(11) })).rejects.toMatchObject(refused);
      const long = Array.from({ length: 41 }, (_, i) => ["d".repeat(2000), i]);
      await expect(store.commit({ deletes: long })).rejects.toMatchObject(refused);
    });

    test("an expired entry is absent to reads, lists and checks, and the sweep removes it", async () => {
      const set = (value: number, expires_at: number | null) => ({ key: ["due", "a"], value, expires_at });
      const absent = { checks: [{ key: ["due", "a"], version: null }] };
      await store.commit({ sets: [set(1, now + 500), { key: ["due", "b"], value: 1, expires_at: now + 9000 }] });
      expect((await store.get(["due", "a"]))?.expires_at).toBe(now + 500);
      expect((await store.commit({ ...absent, sets: [set(2, null)] })).ok).toBe(false);
      now += 500;
      expect(await store.get(["due", "a"])).toBeNull();
      expect((await store.list({ prefix: ["due"] })).entries.map((entry) => entry.key)).toStrictEqual([["due", "b"]]);
      // Absent, so it may be made anew; the old mark must not take the new one away.
      expect((await store.commit({ ...absent, sets: [set(3, now + 5000)] })).ok).toBe(true);
      expect((await store.commit({ ...absent, sets: [set(4, null)] })).ok).toBe(false);
      now += 1;
      expect(await store.sweepExpired()).toBe(0);
      expect((await store.get(["due", "a"]))?.value).toBe(3);
      now += 10_000;
      expect(await store.sweepExpired()).toBe(2);
      expect((await store.list({ prefix: ["_expiry"] })).entries).toStrictEqual([]);
    });

    test("a watch tells what is there, then every change to the last", async () => {
      const stop = new AbortController();
      const seen: unknown[] = [];
      const watching = (async () => {
        for await (const [a, b] of store.watch([["watch", "a"], ["watch", "b"]], stop.signal)) {
          seen.push([a?.value ?? null, b?.value ?? null]);
          if (a?.value === 3 && b?.value === 1) stop.abort();
        }
      })();
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1);
      await put(["watch", "a"], 1);
      await expect.poll(() => seen.at(-1), { timeout: 10_000 }).toStrictEqual([1, null]);
      await put(["watch", "a"], 2);
      await put(["watch", "other"], 1);
      await put(["watch", "b"], 1);
      await put(["watch", "a"], 3);
      await watching;
      expect(seen[0]).toStrictEqual([null, null]);
      expect(seen.at(-1)).toStrictEqual([3, 1]);
    });

    test("closing ends watches, and everything after it is refused", async () => {
      const fresh = await kind.place();
      const other = await fresh.open();
      const seen: unknown[] = [];
      const watching = (async () => {
        for await (const entries of other.watch([["x"]], new AbortController().signal)) seen.push(entries);
      })();
      await expect.poll(() => seen, { timeout: 10_000 }).toStrictEqual([[null]]);
      await other.close();
      await other.close();
      await watching;
      await expect(other.get(["x"])).rejects.toMatchObject({ code: "store_closed" });
      await expect(other.commit({ deletes: [["x"]] })).rejects.toMatchObject({ code: "store_closed" });
      await fresh.remove();
    });
  });
}
