/**
 * What a front must know of the model that workers compute with, to say what a run would cost: the small files of its
 * folder, which each worker's process writes into the store that they share. With them a task begins on a front as it
 * does in a worker, all but the words: there is no tokenizer, so what only that could refuse is not refused.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { parseConfig } from "../model/config.ts";
import { readJson } from "../model/folder.ts";
import type { Model } from "../model/types.ts";
import { allTasks, refuseTask, type TaskName, TASKS } from "../tasks/all_tasks.ts";
import { createDraw } from "../tasks/draw.ts";
import { DRAW_DEFAULTS, parseDrawDefaults } from "../tasks/draw_defaults.ts";
import { keys } from "./keys.ts";
import type { Store } from "./store/types.ts";

const cardSchema = z.object({
  model: z.string(),
  /** What its weights can do. */
  tasks: z.array(z.enum(TASKS)),
  config: z.json(),
  vq: z.json(),
  /** Null: the folder has none. */
  generation: z.json(),
});

export type ModelCard = Readonly<z.infer<typeof cardSchema>>;

/** Of a folder that is open already, so that what is wrong with it was told. */
export async function cardOf(folder: string, model: string, tasks: readonly TaskName[]): Promise<ModelCard> {
  const generation = await readFile(join(folder, "generation.json"), "utf8").catch(() => "null");
  return cardSchema.parse({
    model,
    tasks,
    config: await readJson(folder, "config.json"),
    vq: await readJson(folder, "vqvae/config.json"),
    generation: JSON.parse(generation),
  });
}

export async function writeCard(store: Store, card: ModelCard): Promise<void> {
  await store.commit({ sets: [{ key: keys.modelCard, value: card }] });
}

/** Null: no worker has opened this store yet, or one of another version. */
export async function readCard(store: Store): Promise<ModelCard | null> {
  const entry = await store.get(keys.modelCard);
  return entry === null ? null : cardSchema.safeParse(entry.value).data ?? null;
}

/** A run's first state. @throws {UnmaskError} `task_not_supported`, what the task refuses */
export function startFrom({ model, tasks, config, vq, generation }: ModelCard, task: string, input: unknown): unknown {
  const defaults = generation === null ? DRAW_DEFAULTS : parseDrawDefaults(generation);
  return allTasks(createDraw({ defaults }))[refuseTask(task, tasks, model)].start(
    input,
    shellOf(parseConfig(config, vq)),
  );
}

/** Sizes of a model, and nothing in them. */
function shellOf(config: Model["config"]): Model {
  const never = () => Promise.reject(new RangeError("a model's sizes compute nothing"));
  return {
    config,
    info: { provider: "cpu", device: "none", runtime: "none", software: false, threads: 0 },
    tokenizer: { encode: () => new Int32Array(), decode: () => "", id: () => 0, vocabularySize: config.embeddingSize },
    prompt: never,
    draw: never,
    decode: never,
    encode: never,
    understanding: { look: never, read: never, words: never, locations: never, close: () => Promise.resolve() },
    loaded: [],
    close: () => Promise.resolve(),
  };
}
