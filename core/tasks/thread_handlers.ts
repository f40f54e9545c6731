/**
 * What the inference thread offers: one model and the steppers that are open on it. Apart from the thread itself, so that
 * tests can call it.
 *
 * @module
 */
import { basename, resolve } from "node:path";
import { openEngine } from "../engine/choose.ts";
import type { Engine, EngineInfo, Provider } from "../engine/types.ts";
import { abilitiesOf } from "../model/abilities.ts";
import type { Part } from "../model/layout.ts";
import { type Lexicon, parseLexicon } from "../model/lexicon.ts";
import { openModel } from "../model/open_model.ts";
import { optionalText, parseJson } from "../model/small_files.ts";
import { meanCode } from "../model/mean_code.ts";
import type { LoadedGraph, Model, Picture } from "../model/types.ts";
import {
  allTasks,
  refuseTask,
  type TaskName,
  type TaskResult,
  tasksFor,
  type ThreadTask,
  type ThreadTasks,
} from "./all_tasks.ts";
import { createDraw, type DrawTask } from "./draw.ts";
import { parseGenerationFile } from "./generation_file.ts";
import { unpackPictures } from "./input_pictures.ts";
import { OpenSteppers } from "./open_steppers.ts";
import type { Delta } from "./task.ts";
import { warmUp } from "./warm_up.ts";

export interface LoadOptions {
  readonly modelFolder: string;
  /** @default {"auto"} */
  readonly provider?: Provider | "auto";
  readonly threads?: number;
}

export interface ModelInfo extends EngineInfo {
  /** The model folder's name: `scenes`. */
  readonly model: string;
  /** Native side of a picture in pixels; the only size that is drawn. */
  readonly imageSize: number;
  /** Graphs in memory and the bytes of their weights. */
  readonly loaded: readonly LoadedGraph[];
  /** What its weights can do; see core/model/abilities.ts. */
  readonly tasks: readonly TaskName[];
}

/** What drawing needs. */
const PARTS: readonly Part[] = ["language", "generation", "vq"];

/** What is open once `load` has run. */
export interface Loaded {
  readonly engine: Engine;
  readonly model: Model;
  readonly draw: DrawTask;
  /** What prompts may say; null: anything. @default {null} */
  readonly lexicon?: Lexicon | null;
  /** Whether it was trained to draw after feedback. @default {true} */
  readonly feedback?: boolean;
  readonly info: ModelInfo;
}

/** @throws {UnmaskError} what the engine and the model folder refuse */
export async function loadModel({ modelFolder, provider, threads }: LoadOptions): Promise<Loaded> {
  // The folder's small files first: what is wrong with them shows before seconds of loading.
  const words = await optionalText(modelFolder, "lexicon.json");
  const lexicon = words === undefined ? null : parseLexicon(words);
  const text = await optionalText(modelFolder, "generation.json");
  const { generation, tasks, feedback } = parseGenerationFile(text === undefined ? {} : parseJson(text));
  const draw = createDraw({ lexicon, defaults: generation });
  const engine = await openEngine({
    ...(provider === undefined ? {} : { provider }),
    ...(threads === undefined ? {} : { threads }),
  });
  try {
    const model = await openModel({ folder: modelFolder, engine, parts: PARTS });
    if (model.resident !== undefined) await warmUp(model);
    const info: ModelInfo = {
      ...engine.info,
      model: basename(resolve(modelFolder)),
      imageSize: model.config.nativeResolution,
      loaded: model.loaded,
      tasks: tasksFor(await abilitiesOf(modelFolder, model.tokenizer), tasks),
    };
    return { engine, model, draw, lexicon, info, feedback };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Calls over one model, which `load` opens. */
export class ThreadHandlers {
  readonly #load: (options: LoadOptions) => Promise<Loaded>;
  #loaded: Loaded | undefined;
  readonly #steppers: OpenSteppers;
  #tasks: ThreadTasks | undefined;
  #folder = "";

  /** @param memory bytes that open steppers may hold together; see open_steppers.ts */
  constructor(load: (options: LoadOptions) => Promise<Loaded> = loadModel, memory?: number) {
    this.#load = load;
    this.#steppers = new OpenSteppers(memory);
  }

  readonly calls = {
    load: async (options: LoadOptions): Promise<ModelInfo> => {
      if (this.#loaded !== undefined) throw new RangeError("this thread has a model already");
      this.#loaded = await this.#load(options);
      this.#folder = options.modelFolder;
      return this.#loaded.info;
    },
    /** A run's first state; refuses what the model cannot do. Pictures of the input are files' bytes. */
    start: async (input: unknown, task?: TaskName): Promise<unknown> => {
      const open = this.#open;
      const known = this.#task(task);
      return known.start(await unpackPictures(input), open.model);
    },
    /** A stepper from any state, by number. */
    open: async (state: unknown, task?: TaskName): Promise<number> => {
      return await this.#steppers.open(task ?? "draw", this.#task(task), state, this.#open.model);
    },
    step: (id: number): Promise<Delta | null> => this.#steppers.step(id),
    close: (id: number): void => this.#steppers.close(id),
    result: (state: unknown, task?: TaskName): Promise<TaskResult> => this.#task(task).result(state, this.#open.model),
    /** Of a task that fills text: what will not change any more. */
    text: (state: unknown, task: TaskName): string => this.#task(task).text?.(state, this.#open.model) ?? "",
    /** VQ ids, none masked, to pixels. */
    decode: (ids: Uint16Array): Promise<Picture> => this.#open.model.decode(ids),
    meanCode: (): Promise<number> => meanCode(this.#folder),
    /** What is in memory now: graphs are loaded when they are first needed. */
    loaded: (): readonly LoadedGraph[] => this.#open.model.loaded,
  };

  /** Releases everything, in the order that it needs. */
  readonly shutDown = async (): Promise<void> => {
    this.#steppers.closeAll();
    await this.#loaded?.model.close();
    await this.#loaded?.engine.close();
    this.#loaded = undefined;
  };

  /** @throws {UnmaskError} `task_unknown`, `task_not_supported` */
  #task(name: TaskName = "draw"): ThreadTask {
    const { info, draw, lexicon, feedback } = this.#open;
    this.#tasks ??= allTasks(draw, lexicon, feedback);
    return this.#tasks[refuseTask(name, info.tasks, info.model)];
  }

  get #open(): Loaded {
    if (this.#loaded === undefined) throw new RangeError("no model is loaded");
    return this.#loaded;
  }
}

export type ThreadCalls = ThreadHandlers["calls"];
