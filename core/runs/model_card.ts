/**
 * What a front must know of the model that workers compute with, to say what a run would cost: the small files of its
 * folder, which each worker's process writes into the store that they share. With them a task begins on a front as it
 * does in a worker, but for the tokens of its prompt: there is no tokenizer, so none is too long.
 *
 * @module
 */
import { z } from "zod";
import { parseConfig } from "../model/config.ts";
import { readJson } from "../model/folder.ts";
import { parseLexicon } from "../model/lexicon.ts";
import { optionalText } from "../model/small_files.ts";
import type { Model } from "../model/types.ts";
import { allTasks, refuseTask, type TaskName, TASKS } from "../tasks/all_tasks.ts";
import { createDraw } from "../tasks/draw.ts";
import { parseGenerationFile } from "../tasks/generation_file.ts";
import { keys } from "./keys.ts";
import type { Store } from "./store/types.ts";

const cardSchema = z.object({
  model: z.string(),
  /** What its weights can do. */
  tasks: z.array(z.enum(TASKS)),
  config: z.json(),
  vq: z.json(),
  /** `generation.json` and `lexicon.json` as they stand there; null: the folder has none. */
  generation: z.string().nullable(),
  lexicon: z.string().nullable(),
});

export type ModelCard = Readonly<z.infer<typeof cardSchema>>;

/** Of a folder that is open already, so that what is wrong with it was told. */
export async function cardOf(folder: string, model: string, tasks: readonly TaskName[]): Promise<ModelCard> {
  return cardSchema.parse({
    model,
    tasks,
    config: await readJson(folder, "config.json"),
    vq: await readJson(folder, "vqvae/config.json"),
    generation: await optionalText(folder, "generation.json") ?? null,
    lexicon: await optionalText(folder, "lexicon.json") ?? null,
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
export function startFrom(card: ModelCard, task: string, input: unknown): unknown {
  const { generation, feedback } = parseGenerationFile(card.generation === null ? {} : JSON.parse(card.generation));
  const lexicon = card.lexicon === null ? null : parseLexicon(card.lexicon);
  const tasks = allTasks(createDraw({ defaults: generation, lexicon }), lexicon, feedback);
  const known = tasks[refuseTask(task, card.tasks, card.model)];
  return known.start(input, shellOf(parseConfig(card.config, card.vq)));
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
