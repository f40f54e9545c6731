/**
 * OpenAI's routes.
 *
 * @module
 */
import { z } from "zod";
import { chatInput } from "../routes/openai/chat_input.ts";
import { editsInput } from "../routes/openai/edits.ts";
import { imagesInput } from "../routes/openai/images_input.ts";
import { IDEMPOTENCY, json, type Operation } from "./operation.ts";

const tokens = z.int().min(0);

export const imagesAnswerSchema = z.object({
  created: z.int(),
  data: z.array(z.object({
    b64_json: z.string().optional(),
    url: z.string().optional(),
    seed: z.number(),
    run: z.string(),
  })),
  size: z.string(),
  quality: z.string(),
  background: z.literal("opaque"),
  output_format: z.string(),
  usage: z.object({
    input_tokens: tokens,
    output_tokens: tokens,
    total_tokens: tokens,
    input_tokens_details: z.object({ text_tokens: tokens, image_tokens: tokens }),
    output_tokens_details: z.object({ text_tokens: tokens, image_tokens: tokens }),
  }),
  unmask: z.record(z.string(), z.json()),
});

export const chatAnswerSchema = z.object({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({ role: z.literal("assistant"), content: z.string() }).loose(),
      finish_reason: z.enum(["stop", "length"]),
    }).loose(),
  ),
  usage: z.object({ prompt_tokens: tokens, completion_tokens: tokens, total_tokens: tokens }).loose(),
}).loose();

export const modelSchema = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
  unmask: z.object({ tasks: z.array(z.string()), image_size: z.int().nullable() }),
});
export const modelListSchema = z.object({ object: z.literal("list"), data: z.array(modelSchema) });

/** What is sent as a form; `image` and `mask` are files. */
export const editsForm = editsInput.extend({ image: z.string(), mask: z.string().optional() });

const openai = { tag: "openai" } as const;
const stream = { type: "text/event-stream" } as const;

export const OPENAI_OPERATIONS: readonly Operation[] = [
  {
    ...openai,
    method: "post",
    path: "/v1/images/generations",
    summary: "Draw",
    headers: IDEMPOTENCY,
    body: json(imagesInput),
    answers: { 200: [json(imagesAnswerSchema), stream] },
  },
  {
    ...openai,
    method: "post",
    path: "/v1/images/edits",
    summary: "Edit a picture",
    headers: IDEMPOTENCY,
    body: { type: "multipart/form-data", schema: editsForm },
    answers: { 200: [json(imagesAnswerSchema), stream] },
  },
  {
    ...openai,
    method: "post",
    path: "/v1/chat/completions",
    summary: "Answer, find, draw and edit in a conversation",
    headers: IDEMPOTENCY,
    body: json(chatInput),
    answers: { 200: [json(chatAnswerSchema), stream] },
  },
  { ...openai, method: "get", path: "/v1/models", summary: "Models", answers: { 200: [json(modelListSchema)] } },
  { ...openai, method: "get", path: "/v1/models/{id}", summary: "A model", answers: { 200: [json(modelSchema)] } },
];
