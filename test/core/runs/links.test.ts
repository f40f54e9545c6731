import { expect, test } from "vitest";
import { Links } from "../../../core/runs/links.ts";
import { openMemory } from "../../../core/runs/store/open.ts";

const links = new Links(new Uint8Array(32).fill(1));
const link = { owner: "alice", run: "run_1", kind: "result" } as const;
const code = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return "none";
};

test("a token is good until it expires, for its own kind", () => {
  const token = links.sign(link, 1000);
  expect(token).toMatch(/^[\w-]+\.[\w-]+$/);
  expect(links.verify(token, "result", 1000)).toEqual(link);
  expect(code(() => links.verify(token, "result", 1001))).toBe("link_expired");
  expect(code(() => links.verify(token, "stream", 1000))).toBe("link_invalid");
});

test("whatever is changed in it, it is no token of ours", () => {
  const token = links.sign(link, 1000);
  const other = new Links(new Uint8Array(32).fill(2));
  expect(code(() => other.verify(token, "result", 0))).toBe("link_invalid");
  for (let i = 0; i < token.length; i++) {
    if (token[i] === ".") continue;
    const forged = `${token.slice(0, i)}${token[i] === "A" ? "B" : "A"}${token.slice(i + 1)}`;
    expect(code(() => links.verify(forged, "result", 0)), String(i)).toBe("link_invalid");
  }
  for (const text of ["", ".", "a", "a.b", `${token}x`, `${token}.${token}`, "ü.ü", token.split(".")[0] ?? ""]) {
    expect(code(() => links.verify(text, "result", 0)), text).toBe("link_invalid");
  }
});

test("a webhook's secret is one key's alone, and no link can be signed with it", () => {
  expect(links.webhookSecret("alice")).not.toBe(links.webhookSecret("bob"));
  expect(Uint8Array.fromBase64(links.webhookSecret("alice").slice(6)).length).toBe(32);
});

test("all processes of a store share one secret", async () => {
  const store = await openMemory();
  try {
    const [first, second] = await Promise.all([Links.of(store), Links.of(store)]);
    expect(second.verify(first.sign(link, 1000), "result", 0)).toEqual(link);
  } finally {
    await store.close();
  }
});
