import { afterEach, beforeEach, expect, test } from "vitest";
import { ApiKeys } from "../../../core/runs/api_keys.ts";
import { keys as places } from "../../../core/runs/keys.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import { type Entry, listAll, type Store } from "../../../core/runs/store/types.ts";

let store: Store;
let now: number;
let keys: ApiKeys;

beforeEach(async () => {
  store = await openMemory();
  now = 1_000_000;
  keys = new ApiKeys(store, () => now);
});
afterEach(() => store.close());

test("API keys are shown once and kept as hashes", async () => {
  const { key, text } = await keys.create({ name: "shop" });
  expect(text).toMatch(/^umk_[0-9a-v]{16}_[\w-]{43}$/);
  expect(key).toEqual({
    id: key.id,
    name: "shop",
    scopes: ["infer", "read"],
    owner: `key_${key.id}`,
    created_at: now,
  });
  const secret = text.split("_").slice(2).join("_");
  const stored: Entry[] = [];
  for await (const entry of listAll(store, { prefix: places.allApiKeys })) stored.push(entry);
  expect(JSON.stringify(stored)).toContain(key.id);
  expect(JSON.stringify(stored)).not.toContain(secret);
  expect(await keys.list()).toEqual([key]);
  expect(await keys.find(text)).toEqual(key);
});

test("API keys are found by nothing but their whole text", async () => {
  const [{ text }, other] = [await keys.create({ name: "a" }), await keys.create({ name: "b" })];
  const swapped = text.slice(0, 21) + other.text.slice(21);
  const flipped = text.slice(0, -2) + (text.at(-2) === "A" ? "B" : "A") + text.at(-1);
  for (
    const forged of ["", "umk_", text.slice(0, -1), `${text}A`, text.toUpperCase(), swapped, flipped, ` ${text}`]
  ) {
    expect(await keys.find(forged), forged).toBeNull();
  }
});

test("API keys that are removed are so: here at once, elsewhere within two seconds", async () => {
  const elsewhere = new ApiKeys(store, () => now);
  const { key, text } = await keys.create({ name: "a" });
  expect(await elsewhere.find(text)).toEqual(key);
  await keys.remove(key.id);
  expect(await keys.find(text)).toBeNull();
  now += 2001;
  expect(await elsewhere.find(text)).toBeNull();
  await expect(keys.remove(key.id)).rejects.toMatchObject({ code: "key_not_found", status: 404 });
});

test.each([
  [null],
  [{}],
  [{ name: "" }],
  [{ name: "a", scopes: [] }],
  [{ name: "a", scopes: ["root"] }],
  [{ name: "a", owner: "../x" }],
  [{ name: "a", rate: 0 }],
  [{ name: "a", hash: "0" }],
])("no key can be made of %j", async (asked) => {
  await expect(keys.create(asked)).rejects.toMatchObject({ code: "key_invalid", status: 400 });
});
