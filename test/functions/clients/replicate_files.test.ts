/** The real client sends every file of an input to the files API first, unless told otherwise. */
import Replicate from "replicate";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MOST_UPLOADS, UPLOAD_LIFE } from "../../../core/runs/uploads.ts";
import { Ledger } from "../../../core/runs/ledger.ts";
import { Retention } from "../../../core/runs/retention.ts";
import { orphanedParts } from "../../../core/runs/store/sweep.ts";
import { encodePicture } from "../../../core/image/codec.ts";
import { createApp } from "../../../functions/app.ts";
import { picture } from "../../core/tasks/seeing_model.ts";
import type { TestHouse } from "../house_of.ts";
import { seeingHouse } from "../seeing_house.ts";

let house: TestHouse;
let server: Deno.HttpServer<Deno.NetAddr>;
let base: string;
let replicate: Replicate;
let file: Blob;

beforeEach(async () => {
  house = await seeingHouse();
  const access = { policy: "keys" as const, keys: Promise.resolve(house.keys), rate: { rate: 1_000_000 } };
  const app = createApp({ protocols: Promise.resolve(house.door), access });
  server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  base = `http://127.0.0.1:${server.addr.port}/replicate/v1`;
  replicate = await clientOf("a");
  file = new File([new Uint8Array(await encodePicture(picture(60, 40), "png"))], "dog.png", { type: "image/png" });
});
afterEach(async () => {
  await server.shutdown();
  await house.close();
});

async function clientOf(owner: string): Promise<Replicate> {
  const { text: auth } = await house.keys.create({ name: owner });
  return new Replicate({ auth, baseUrl: base });
}

const edit = (image: unknown) => ({ task: "edit", instruction: "make it red", picture: image, seed: 3, steps: 2 });

test("run takes a file as it is, and gives what the same picture in base64 gives", async () => {
  const run = async (image: unknown) => {
    const output = await replicate.run("unmask/table", { input: edit(image) });
    return new Uint8Array(await new Response(output as unknown as ReadableStream).arrayBuffer());
  };
  const base64 = new Uint8Array(await file.arrayBuffer()).toBase64();
  expect(await run(file)).toEqual(await run(`data:image/png;base64,${base64}`));
  // The run's input names a file of its own, and goes on when the client's is gone.
  const { results: [sent] } = await replicate.files.list() as unknown as { results: { id: string }[] };
  await replicate.files.delete(sent?.id ?? "");
  const { results: [, newest] } = await replicate.predictions.list();
  expect(newest?.input).toMatchObject({ picture: { media_type: "image/png", width: 60, height: 40 } });
});

test("create, list, get and delete", async () => {
  const made = await replicate.files.create(file, { from: "a test" });
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer())).toHex();
  const url = `${base}/files/${made.id}`;
  expect(made).toMatchObject({
    name: "dog.png",
    content_type: "image/png",
    size: file.size,
    checksums: { sha256 },
    metadata: { from: "a test" },
    urls: { get: url },
  });
  expect(Date.parse(made.expires_at ?? "") - Date.parse(made.created_at)).toBe(UPLOAD_LIFE);
  expect(await replicate.files.get(made.id)).toEqual(made);
  expect(await replicate.files.delete(made.id)).toBe(true);
  await expect(replicate.files.get(made.id)).rejects.toMatchObject({ response: { status: 404 } });
  await expect(replicate.predictions.create({ version: "table", input: edit(url) }))
    .rejects.toMatchObject({ response: { status: 404 } });
});

test("another key has no such file, and its address brings it nothing", async () => {
  const { id, urls } = await replicate.files.create(file);
  const other = await clientOf("b");
  for (const asking of [() => other.files.get(id), () => other.files.delete(id)]) {
    await expect(asking()).rejects.toMatchObject({ response: { status: 404 } });
  }
  await expect(other.predictions.create({ version: "table", input: edit(urls.get) }))
    .rejects.toMatchObject({ response: { status: 404 } });
  expect(await replicate.files.get(id)).toHaveProperty("id", id);
});

test.each([
  ["what is no picture", () => replicate.files.create(new Blob(["hello"])), 415, "image_format_unsupported"],
  ["metadata that is large", () => replicate.files.create(file, { text: "a".repeat(5000) }), 400, "metadata_invalid"],
])("refuses %s", async (_, sending, status, code) => {
  const refused = expect.objectContaining({ message: expect.stringContaining(`"code":"${code}"`) });
  const problem: unknown = await sending().then(() => null, (error: unknown) => error);
  expect(problem).toEqual(refused);
  expect(problem).toMatchObject({ response: { status } });
  expect(await replicate.files.list()).toMatchObject({ results: [] });
});

test("so many, and no more; after their time they are gone, parts and all", async () => {
  // Larger than what lies in one value.
  const large = new Blob([new Uint8Array(await file.arrayBuffer()), new Uint8Array(100_000)]);
  for (let i = 0; i < MOST_UPLOADS; i++) await replicate.files.create(i === 0 ? large : file);
  const response = await fetch(`${base}/files`, {
    method: "POST",
    headers: { authorization: `Bearer ${(await house.keys.create({ name: "a", owner: await ownerOfA() })).text}` },
    body: formOf(file),
  });
  expect([response.status, (await response.json()).error.code]).toEqual([429, "too_many_files"]);
  expect(response.headers.get("retry-after")).not.toBeNull();
  const later = new Ledger(house.store, { now: () => Date.now() + UPLOAD_LIFE + 1 });
  await new Retention(later).sweep();
  expect(await replicate.files.list()).toMatchObject({ results: [] });
  expect(await orphanedParts(house.store)).toEqual([]);
  expect((await house.store.list({ prefix: ["blob"] })).entries).toEqual([]);
});

async function ownerOfA(): Promise<string> {
  return (await replicate.accounts.current()).username;
}

function formOf(content: Blob): FormData {
  const form = new FormData();
  form.append("content", content, "dog.png");
  return form;
}
