/**
 * What the doors ask of the model: draw this, tell me what is loaded. `core/tasks/remote.ts` implements it in a thread
 * of its own; tests implement it in a few lines. The doors know nothing else of the network.
 *
 * @module
 */
import type { EngineInfo } from "../core/engine/types.ts";
import type { Picture } from "../core/model/types.ts";

export type OrderName = "stratified" | "confidence" | "halton" | "random";

/** What a caller may choose; absent fields take the defaults of `core/tasks/draw.ts`. */
export interface DrawRequest {
  readonly prompt: string;
  readonly seed: number;
  readonly steps?: number;
  readonly guidance?: number;
  readonly order?: OrderName;
}

/** A finished draw, with every option as it was really used. */
export interface Drawn {
  readonly picture: Picture;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly order: OrderName;
  /** Tokens of the conditional row that come before the image. */
  readonly promptTokens: number;
  /** VQ ids of the image. */
  readonly imageTokens: number;
  /** Wall time of the draw, waiting excluded. */
  readonly seconds: number;
}

export interface InferenceInfo extends EngineInfo {
  /** The model folder's name: `scenes`. */
  readonly model: string;
  /** Native side of a picture in pixels; the only size that is drawn. */
  readonly imageSize: number;
  /** Parts of the model in memory, such as `draw` and `decode`. */
  readonly parts: readonly string[];
}

export interface DrawOptions {
  /** Aborting it ends the draw before its next step; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called after every step with the step's number, from 1, and the number of steps. */
  readonly onStep?: (step: number, steps: number) => void;
}

export interface Inference {
  readonly info: InferenceInfo;
  draw(request: DrawRequest, options?: DrawOptions): Promise<Drawn>;
  close(): Promise<void>;
}
