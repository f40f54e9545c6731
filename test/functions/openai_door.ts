/**
 * The real `openai` client, unchanged but for address and key, against a real server on a real port: a model with every
 * part and random weights, in its thread, over a store in memory.
 */
import OpenAI from "openai";
import { encodePicture } from "../../core/image/codec.ts";
import { readHeader } from "../../core/image/header.ts";
import { openHouse } from "../../core/runs/house.ts";
import { openInference } from "../../core/tasks/remote.ts";
import { doorsOf } from "../../functions/doors.ts";
import { serve } from "../../functions/serve.ts";
import { writeSmallFolder } from "../core/model/small_model.ts";
import { picture } from "../core/tasks/seeing_model.ts";

export interface OpenAIDoor {
  readonly client: OpenAI;
  readonly url: string;
  /** A PNG to ask about. */
  readonly image: Uint8Array<ArrayBuffer>;
  close(): Promise<void>;
}

/** Pixels of the model's pictures. */
export const SIDE = 128;
/** What the header of each says. */
export const PNG = { format: "png", width: SIDE, height: SIDE };

/** Ours beside OpenAI's fields, which the client's types do not know. */
export const own = <T>(fields: T) => fields as T & Record<never, never>;
export const headerOf = (base64: string | undefined) => readHeader(Uint8Array.fromBase64(base64 ?? ""));
export const dataUrl = (image: Uint8Array) => `data:image/png;base64,${image.toBase64()}`;

export async function openOpenAIDoor(): Promise<OpenAIDoor> {
  const folder = await Deno.makeTempDir({ prefix: "unmask-openai-" }), modelFolder = `${folder}/small`;
  await writeSmallFolder(modelFolder, { max_sequence_length: 4096, tokenizer_model_max_length: 4096 });
  const inference = await openInference({ modelFolder, provider: "cpu", threads: 1 });
  const encode = encodePicture;
  const house = await openHouse({ inference, modelFolder, store: ":memory:", encode, poll: 20 });
  const { text: apiKey } = await house.keys.create({ name: "test" });
  const { keys, ...doors } = doorsOf(house, { model: "small", imageSize: SIDE, encode });
  const each = Object.fromEntries(Object.entries(doors).map(([name, door]) => [name, Promise.resolve(door)]));
  const server = serve({
    inference: Promise.resolve(inference),
    ...each,
    access: { policy: "keys", keys: Promise.resolve(keys) },
    port: 0,
  });
  return {
    client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 }),
    url: server.url,
    image: new Uint8Array(await encodePicture(picture(60, 40), "png")),
    async close() {
      await server.shutdown();
      await house.close();
      await inference.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
