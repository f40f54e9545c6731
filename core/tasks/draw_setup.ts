/**
 * Prompts of drawings and edits with everything that may stand in them: a plan, refused pictures with their feedback, a
 * source picture.
 *
 * @module
 */
import type { EditMode } from "../diffusion/guidance.ts";
import { squareForVq } from "../image/frame.ts";
import { drawPrompt, type DrawRequest, editPrompt } from "../model/prompts.ts";
import type { Model, Picture } from "../model/types.ts";
import type { DrawSettings } from "./draw_state.ts";
import type { DrawSetup } from "./draw_stepper.ts";

/** A refused picture as the next drawing sees it. */
export interface SeenFeedback {
  readonly text: string;
  /** fp32 [tokens, dModel], newline included; from `Understanding.look(picture, "single")`. */
  readonly features: Float32Array;
}

export interface PlannedDraw extends Omit<DrawRequest, "feedback"> {
  readonly feedback?: readonly SeenFeedback[];
}

/** Rows of a draw under its settings, from text each time: they are cheap, and the state stays small. */
export function setUpDraw({ prompt, micro, plan }: DrawSettings, model: Model, feedback: readonly SeenFeedback[] = []) {
  return drawSetup({
    prompt,
    ...(micro === null ? {} : { micro }),
    ...(plan === undefined ? {} : { plan }),
    feedback,
  }, model);
}

/** Rows of a drawing (facts 3.3, 6.1, 6.7). */
export function drawSetup(request: PlannedDraw, { tokenizer, config }: Model): DrawSetup & { suffix: Int32Array } {
  const { feedback = [], ...rest } = request;
  const prompt = drawPrompt({
    size: config.nativeResolution,
    ...rest,
    feedback: feedback.map(({ text, features }) => ({ text, imageTokens: features.length / config.dModel })),
  }, tokenizer);
  return {
    rows: prompt.rows,
    suffix: config.promptAttention === "full" ? prompt.suffixes[0] : new Int32Array(),
    ...(feedback.length === 0 ? {} : { pictures: { features: joinFeatures(feedback) } }),
  };
}

function joinFeatures(feedback: readonly SeenFeedback[]): Float32Array {
  const all = new Float32Array(feedback.reduce((sum, { features }) => sum + features.length, 0));
  let offset = 0;
  for (const { features } of feedback) {
    all.set(features, offset);
    offset += features.length;
  }
  return all;
}

/** A source picture, encoded once and kept with the run. */
export interface EncodedSource {
  /** fp32 [tokens, dModel], newlines included. */
  readonly features: Float32Array;
  /** VQ ids of the picture on a black square, resized. */
  readonly ids: Uint16Array;
}

/** The tower sees the picture as it is, the VQ tokenizer a square of it (facts 6.4, 7). */
export async function encodeSource(
  model: Model,
  picture: Picture,
  side = model.config.nativeResolution,
): Promise<EncodedSource> {
  return {
    features: await model.understanding.look(picture, "tiles"),
    ids: await model.encode(squareForVq(picture, side)),
  };
}

export interface PlannedEdit {
  readonly instruction: string;
  readonly plan?: string;
  /** @default {0} */
  readonly mode?: EditMode;
  /** wi, guidance by the source picture. */
  readonly imageGuidance: number;
}

/** Rows of an edit: full, enc, un (facts 6.4). */
export function editSetup(request: PlannedEdit, source: EncodedSource, { tokenizer, config }: Model): DrawSetup {
  const mode = request.mode ?? 0;
  const { rows, suffixes } = editPrompt({
    instruction: request.instruction,
    imageTokens: source.features.length / config.dModel,
    sourceTokens: source.ids.length / 4,
    mode,
    ...(request.plan === undefined ? {} : { plan: request.plan }),
  }, tokenizer);
  return {
    rows,
    suffix: config.promptAttention === "full" ? suffixes : new Int32Array(),
    pictures: { features: source.features, source: { ids: source.ids } },
    edit: { mode, imageGuidance: request.imageGuidance },
  };
}
