/**
 * The body of `POST /v1/images/generations`: OpenAI's fields and ours. A field that cannot be honoured is refused with
 * a code of its own, never ignored; at its default value it is accepted. `null` means absent, as in OpenAI's schema.
 * Source: OpenAI's openapi.yaml, `CreateImageRequest` (field-notes A1).
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";
import type { OutputFormat } from "../../core/image/codec.ts";

/** Codes and remedies of the values that a field of the right type may not have. */
const REFUSALS: Readonly<Record<string, { readonly code: string; readonly fix: string }>> = {
  n: { code: "n_out_of_range", fix: "use 1 to 10" },
  quality: { code: "quality_unsupported", fix: "leave it out, or use auto; `steps` trades time for quality" },
  background: { code: "background_unsupported", fix: "leave it out, or use auto or opaque" },
  moderation: { code: "moderation_unsupported", fix: "leave it out, or use auto" },
  style: { code: "style_unsupported", fix: "leave it out, or use vivid; say in the prompt how it shall look" },
  stream: { code: "stream_unsupported", fix: "leave it out, or use false" },
  partial_images: { code: "partial_images_unsupported", fix: "leave it out, or use 0" },
  response_format: { code: "response_format_unsupported", fix: "use b64_json" },
  output_format: { code: "output_format_unsupported", fix: "use png, jpeg or webp" },
  output_compression: { code: "output_compression_out_of_range", fix: "use a whole number from 0 to 100" },
  user: { code: "user_too_long", fix: "use at most 512 characters" },
};

/** As core/image/codec.ts writes them; only its type is imported, so that a front needs no codec. */
const FORMATS = ["png", "jpeg", "webp"] as const satisfies readonly OutputFormat[];

const schema = z.strictObject({
  prompt: z.string(),
  model: z.string().nullish(),
  n: z.int().min(1).max(10).nullish(),
  size: z.string().nullish(),
  quality: z.string().pipe(z.enum(["auto", "standard"])).nullish(),
  background: z.string().pipe(z.enum(["auto", "opaque"])).nullish(),
  moderation: z.string().pipe(z.enum(["auto"])).nullish(),
  style: z.string().pipe(z.enum(["vivid"])).nullish(),
  stream: z.boolean().refine((value) => !value).nullish(),
  partial_images: z.int().max(0).min(0).nullish(),
  user: z.string().max(512).nullish(),
  response_format: z.string().pipe(z.enum(["b64_json"])).nullish(),
  output_format: z.string().pipe(z.enum(FORMATS)).nullish(),
  output_compression: z.int().min(0).max(100).nullish(),
  // Their values are the task's own matter: core/tasks/draw_input.ts refuses them.
  seed: z.number().nullish(),
  steps: z.number().nullish(),
  guidance: z.number().nullish(),
  order: z.string().nullish(),
});

export type ImagesInput = z.infer<typeof schema>;

/**
 * The body, checked against the schema and against the model that is loaded.
 *
 * @throws `missing_required_parameter`, `unknown_parameter`, `invalid_type`, `prompt_not_text`,
 * `model_not_found` (404), `output_compression_unsupported`, and the codes of {@link REFUSALS}
 */
export function parseImagesInput(body: unknown, model: string): ImagesInput {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw refusal(parsed.error.issues, body);
  const input = parsed.data;
  refusePrompt(input.prompt);
  if (input.model != null && input.model !== model) {
    throw new UnmaskError({
      code: "model_not_found",
      message: "this server does not serve that model",
      fix: `leave model out, or use ${model}`,
      param: "model",
      status: 404,
    });
  }
  if (input.output_compression != null && (input.output_format ?? "png") === "png") {
    throw new UnmaskError({
      code: "output_compression_unsupported",
      message: "png is lossless and takes no output_compression",
      fix: "leave output_compression out, or set output_format to jpeg or webp",
      param: "output_compression",
    });
  }
  return input;
}

/** What no model can read. The prompt's words and length are the model's own matter (core/model/lexicon.ts). */
function refusePrompt(prompt: string): void {
  // A lone surrogate has no UTF-8 form, so no tokenizer could give the same text back.
  if (!prompt.isWellFormed() || /\p{Cc}/u.test(prompt.replace(/[\n\r\t]/g, " "))) {
    throw new UnmaskError({
      code: "prompt_not_text",
      message: "the prompt holds control characters or broken Unicode",
      fix: "send plain text",
      param: "prompt",
    });
  }
}

/** The first issue as one refusal: unknown fields first, since they explain the others. */
function refusal(issues: readonly z.core.$ZodIssue[], body: unknown): UnmaskError {
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys");
  if (unknown !== undefined) {
    const name = printable(unknown.keys[0] ?? "");
    return new UnmaskError({
      code: "unknown_parameter",
      message: `there is no parameter \`${name}\``,
      fix: `leave it out; the parameters are ${Object.keys(schema.shape).join(", ")}`,
      param: name,
    });
  }
  const issue = issues[0];
  const field = issue?.path[0];
  if (issue === undefined || typeof field !== "string") {
    return new UnmaskError({
      code: "invalid_type",
      message: "the body is JSON, but no object",
      fix: 'send an object, such as {"prompt": "a photo of a dog"}',
    });
  }
  if (typeof body === "object" && body !== null && !Object.hasOwn(body, field)) {
    return new UnmaskError({
      code: "missing_required_parameter",
      message: `\`${field}\` is missing`,
      fix: 'say what to draw, such as {"prompt": "a photo of a dog"}',
      param: field,
    });
  }
  // zod calls 1.5 and 1e400 the wrong type where a whole number is due; to the caller they are numbers out of range.
  const value = (body as Readonly<Record<string, unknown>>)[field];
  const numeric = issue.code === "invalid_type" && (issue.expected === "int" || issue.expected === "number");
  if (!(field in REFUSALS) || (issue.code === "invalid_type" && !(numeric && typeof value === "number"))) {
    const expected = issue.code === "invalid_type" ? issue.expected : "value of another type";
    return new UnmaskError({
      code: "invalid_type",
      message: `\`${field}\` has the wrong type`,
      fix: `use a JSON ${expected === "int" ? "number" : expected}`,
      param: field,
    });
  }
  return valueRefusal(field);
}

/** The refusal of a value of the right type. */
function valueRefusal(field: string): UnmaskError {
  const rule = REFUSALS[field];
  if (rule === undefined) throw new Error(`no refusal is written for ${field}`);
  return new UnmaskError({
    code: rule.code,
    message: `this value of \`${field}\` is not supported`,
    fix: rule.fix,
    param: field,
  });
}

/** A client's own key in an answer: short, and without anything that a terminal or a log would obey. */
function printable(key: string): string {
  return key.replace(/[^\x20-\x7e]/g, "?").slice(0, 64);
}
