/**
 * The body of `POST /v1/chat/completions`: OpenAI's fields and, under `unmask`, ours. A field that cannot be honoured is
 * refused with a code of its own; at its default value it is accepted.
 * Source: OpenAI's openapi.yaml, `CreateChatCompletionRequest`, and the typings of its client 7.59.0.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../../../core/errors.ts";
import { OUTPUT_FORMATS } from "../../../core/runs/record.ts";
import { refuseModel } from "./door.ts";
import { refusal, type Refusals } from "./picture_fields.ts";

const imagePart = z.object({
  type: z.literal("image_url"),
  image_url: z.object({ url: z.string(), detail: z.string().nullish() }),
});
const textPart = z.object({ type: z.literal("text"), text: z.string() });
/** Of any other type, or of these two and malformed. */
const otherPart = z.object({ type: z.string() });
const partSchema = z.union([textPart, imagePart, otherPart]);
const contentSchema = z.union([z.string(), z.array(partSchema).min(1)]);

type Part = z.infer<typeof partSchema>;
export const isText = (part: Part): part is z.infer<typeof textPart> => textPart.safeParse(part).success;
export const isImage = (part: Part): part is z.infer<typeof imagePart> => imagePart.safeParse(part).success;

const messageSchema = z.object({
  role: z.string(),
  content: contentSchema.nullish(),
  /** As this door gives them, and gets them back from a client that keeps its history. */
  images: z.array(imagePart).nullish(),
  name: z.string().nullish(),
  tool_calls: z.array(z.unknown()).nullish(),
  function_call: z.unknown().optional(),
  tool_call_id: z.unknown().optional(),
});
export type ChatMessage = z.infer<typeof messageSchema>;

export const CHAT_TASKS = ["answer", "draw", "edit", "ground"] as const;
export type ChatTask = (typeof CHAT_TASKS)[number];

const ownSchema = z.strictObject({
  task: z.enum(CHAT_TASKS).optional(),
  /** Of drawing and editing. */
  steps: z.number().optional(),
  guidance: z.number().optional(),
  order: z.string().optional(),
  output_format: z.enum(OUTPUT_FORMATS).optional(),
  output_compression: z.int().min(0).max(100).optional(),
  /** What to point at. @default the last message's text */
  expressions: z.array(z.string()).min(1).max(64).optional(),
});

const empty = z.array(z.unknown()).max(0);
const label = z.string().max(512).nullish();

/** What a field may be; anything else has its code in REFUSALS. */
export const chatInput = z.strictObject({
  messages: z.array(messageSchema).min(1).max(512),
  model: z.string().nullish(),
  modalities: z.array(z.enum(["text", "image"])).min(1).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({
    include_usage: z.boolean().nullish(),
    include_obfuscation: z.boolean().nullish(),
  }).nullish(),
  max_tokens: z.int().min(1).max(4096).nullish(),
  max_completion_tokens: z.int().min(1).max(4096).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  seed: z.int().min(0).nullish(),
  n: z.literal(1).nullish(),
  top_p: z.literal(1).nullish(),
  stop: empty.nullish(),
  frequency_penalty: z.literal(0).nullish(),
  presence_penalty: z.literal(0).nullish(),
  logit_bias: z.strictObject({}).nullish(),
  logprobs: z.literal(false).nullish(),
  top_logprobs: z.literal(0).nullish(),
  response_format: z.strictObject({ type: z.literal("text") }).nullish(),
  tools: empty.nullish(),
  tool_choice: z.enum(["none", "auto"]).nullish(),
  functions: empty.nullish(),
  function_call: z.enum(["none", "auto"]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  store: z.literal(false).nullish(),
  metadata: z.strictObject({}).nullish(),
  service_tier: z.enum(["auto", "default"]).nullish(),
  reasoning_effort: z.literal("none").nullish(),
  verbosity: z.literal("medium").nullish(),
  prompt_cache_retention: z.literal("in_memory").nullish(),
  prediction: z.null().optional(),
  audio: z.null().optional(),
  moderation: z.null().optional(),
  // Names of the client's own, which change nothing.
  user: label,
  safety_identifier: label,
  prompt_cache_key: label,
  unmask: ownSchema.nullish(),
});
export type ChatInput = z.infer<typeof chatInput>;

const leave = (more: string) => `leave it out, or ${more}`;
const TOOLS = { code: "tools_unsupported", fix: "leave it out: this model calls no tools" };
const unsupported = (name: string, more: string) => ({ [name]: { code: `${name}_unsupported`, fix: leave(more) } });

const REFUSALS: Refusals = {
  messages: {
    code: "messages_invalid",
    fix: 'send 1 to 512 messages, such as {"role": "user", "content": "a photo of a dog"}',
  },
  modalities: { code: "modalities_unsupported", fix: 'use ["text"], or ["image", "text"]' },
  stream_options: { code: "stream_options_unsupported", fix: 'use {"include_usage": true}' },
  max_tokens: { code: "max_tokens_out_of_range", fix: "use 1 to 4096" },
  max_completion_tokens: { code: "max_tokens_out_of_range", fix: "use 1 to 4096" },
  temperature: { code: "temperature_out_of_range", fix: "use 0 to 2" },
  seed: { code: "seed_out_of_range", fix: "use a whole number from 0 to 9007199254740991" },
  ...unsupported("n", "use 1"),
  ...unsupported("top_p", "use 1; `temperature` steers the sampling"),
  ...unsupported("stop", "use an empty list"),
  ...unsupported("frequency_penalty", "use 0"),
  ...unsupported("presence_penalty", "use 0"),
  ...unsupported("logit_bias", "use an empty object"),
  ...unsupported("logprobs", "use false"),
  ...unsupported("top_logprobs", "use 0"),
  ...unsupported("response_format", 'use {"type": "text"}'),
  ...unsupported("store", "use false; runs are kept at /v1/runs for a while"),
  ...unsupported("metadata", "use an empty object"),
  ...unsupported("service_tier", "use auto or default"),
  ...unsupported("reasoning_effort", "use none"),
  ...unsupported("verbosity", "use medium"),
  ...unsupported("prompt_cache_retention", "use in_memory"),
  ...unsupported("prediction", "use null"),
  ...unsupported("audio", "use null"),
  ...unsupported("moderation", "use null"),
  tools: TOOLS,
  tool_choice: TOOLS,
  functions: TOOLS,
  function_call: TOOLS,
  user: { code: "user_too_long", fix: "use at most 512 characters" },
  safety_identifier: { code: "user_too_long", fix: "use at most 512 characters" },
  prompt_cache_key: { code: "user_too_long", fix: "use at most 512 characters" },
  unmask: {
    code: "unmask_unsupported",
    fix: "its fields are task, steps, guidance, order, output_format, output_compression and expressions",
  },
};

/** Of these a value of another type is a value that is not supported, since the only value is the default. */
const ANY_TYPE = new Set(Object.keys(REFUSALS).filter((name) => /_unsupported$/.test(REFUSALS[name]?.code ?? "")));

/**
 * The body, checked against the schema and against the model that is loaded.
 *
 * @throws `missing_required_parameter`, `unknown_parameter`, `invalid_type`, `model_not_found` (404), `max_tokens_twice`,
 * the codes of {@link REFUSALS}
 */
export function parseChatInput(body: unknown, model: string): ChatInput {
  const parsed = chatInput.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue?.path[0];
    const rule = typeof field === "string" && ANY_TYPE.has(field) ? REFUSALS[field] : undefined;
    const nested = issue !== undefined && issue.path.length > 1 && typeof field === "string"
      ? REFUSALS[field]
      : undefined;
    const own = rule ?? nested;
    if (own === undefined) throw refusal(parsed.error.issues, body, Object.keys(chatInput.shape), REFUSALS);
    throw new UnmaskError({
      ...own,
      message: `this value of \`${placeOf(issue?.path ?? [])}\` is not supported`,
      param: String(field),
    });
  }
  const input = parsed.data;
  refuseModel(input.model, model);
  if (input.max_tokens != null && input.max_completion_tokens != null) {
    throw new UnmaskError({
      code: "max_tokens_twice",
      message: "max_tokens and max_completion_tokens are the same",
      fix: "send one of them",
      param: "max_tokens",
    });
  }
  return input;
}

/** `messages[2].content`, of our own names alone. */
function placeOf(path: readonly PropertyKey[]): string {
  return path.map((part, i) => (typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`)).join(
    "",
  );
}
