/**
 * Fields that generations and edits share, and the refusal of their values. A field that cannot be honoured is refused
 * with a code of its own, never ignored; at its default value it is accepted. `null` means absent, as in OpenAI's schema.
 * Source: OpenAI's openapi.yaml, `CreateImageRequest` and `CreateImageEditRequest` (field-notes A1).
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../../../core/errors.ts";
import { type Encoding, OUTPUT_FORMATS } from "../../../core/runs/record.ts";

export const pictureFields = {
  prompt: z.string(),
  model: z.string().nullish(),
  n: z.int().min(1).max(10).nullish(),
  size: z.string().nullish(),
  quality: z.string().pipe(z.enum(["auto", "standard"])).nullish(),
  background: z.string().pipe(z.enum(["auto", "opaque"])).nullish(),
  stream: z.boolean().nullish(),
  partial_images: z.int().min(0).max(3).nullish(),
  user: z.string().max(512).nullish(),
  response_format: z.string().pipe(z.enum(["b64_json", "url"])).nullish(),
  output_format: z.string().pipe(z.enum(OUTPUT_FORMATS)).nullish(),
  output_compression: z.int().min(0).max(100).nullish(),
  // Their values are the task's own matter: core/tasks/draw_input.ts refuses them.
  seed: z.number().nullish(),
  steps: z.number().nullish(),
  guidance: z.number().nullish(),
  order: z.string().nullish(),
};

const shape = z.strictObject(pictureFields);
export type PictureFields = z.infer<typeof shape>;

/** Codes and remedies of the values that a field of the right type may not have. */
export type Refusals = Readonly<Record<string, { readonly code: string; readonly fix: string }>>;

export const REFUSALS: Refusals = {
  n: { code: "n_out_of_range", fix: "use 1 to 10" },
  quality: { code: "quality_unsupported", fix: "leave it out, or use auto; `steps` trades time for quality" },
  background: { code: "background_unsupported", fix: "leave it out, or use auto or opaque" },
  moderation: { code: "moderation_unsupported", fix: "leave it out, or use auto" },
  style: { code: "style_unsupported", fix: "leave it out, or use vivid; say in the prompt how it shall look" },
  input_fidelity: { code: "input_fidelity_unsupported", fix: "leave it out, or use low" },
  partial_images: { code: "partial_images_out_of_range", fix: "use 0 to 3" },
  response_format: { code: "response_format_unsupported", fix: "use b64_json or url" },
  output_format: { code: "output_format_unsupported", fix: "use png, jpeg or webp" },
  output_compression: { code: "output_compression_out_of_range", fix: "use a whole number from 0 to 100" },
  user: { code: "user_too_long", fix: "use at most 512 characters" },
};

/**
 * What fields forbid each other, and what no model can read. The prompt's words and length are the model's own matter
 * (core/model/lexicon.ts).
 *
 * @throws `prompt_not_text`, `output_compression_unsupported`, `partial_images_unsupported`, `stream_n_unsupported`,
 * `stream_url_unsupported`
 */
export function refuseCombinations(input: PictureFields): void {
  // A lone surrogate has no UTF-8 form, so no tokenizer could give the same text back.
  if (!input.prompt.isWellFormed() || /\p{Cc}/u.test(input.prompt.replace(/[\n\r\t]/g, " "))) {
    throw new UnmaskError({
      code: "prompt_not_text",
      message: "the prompt holds control characters or broken Unicode",
      fix: "send plain text",
      param: "prompt",
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
  if (input.stream !== true) {
    if ((input.partial_images ?? 0) === 0) return;
    throw new UnmaskError({
      code: "partial_images_unsupported",
      message: "partial images come in a stream",
      fix: "set stream to true, or leave partial_images out",
      param: "partial_images",
    });
  }
  if ((input.n ?? 1) > 1) {
    throw new UnmaskError({
      code: "stream_n_unsupported",
      message: "a stream carries one picture",
      fix: "use n 1, or leave stream out",
      param: "n",
    });
  }
  if (input.response_format === "url") {
    throw new UnmaskError({
      code: "stream_url_unsupported",
      message: "a stream carries pictures, not links",
      fix: "leave response_format out, or leave stream out",
      param: "response_format",
    });
  }
}

/** OpenAI's default for lossy formats: the least compression. */
export function encodingOf({ output_format, output_compression }: PictureFields): Encoding {
  const format = output_format ?? "png";
  return format === "png" ? { format } : { format, quality: output_compression ?? 100 };
}

/**
 * The first issue as one refusal: unknown fields first, since they explain the others.
 *
 * @param fields all that there are, for the remedy
 */
export function refusal(
  issues: readonly z.core.$ZodIssue[],
  body: unknown,
  fields: readonly string[],
  refusals: Refusals,
): UnmaskError {
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys" && issue.path.length === 0);
  if (unknown?.code === "unrecognized_keys") {
    const name = printable(unknown.keys[0] ?? "");
    return new UnmaskError({
      code: "unknown_parameter",
      message: `there is no parameter \`${name}\``,
      fix: `leave it out; the parameters are ${fields.join(", ")}`,
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
      fix: `send it; the parameters are ${fields.join(", ")}`,
      param: field,
    });
  }
  // zod calls 1.5 and 1e400 the wrong type where a whole number is due; to the caller they are numbers out of range.
  const value = (body as Readonly<Record<string, unknown>>)[field];
  const numeric = issue.code === "invalid_type" && (issue.expected === "int" || issue.expected === "number");
  const rule = refusals[field];
  if (rule === undefined || (issue.code === "invalid_type" && !(numeric && typeof value === "number"))) {
    const expected = issue.code === "invalid_type" ? issue.expected : "value of another type";
    return new UnmaskError({
      code: "invalid_type",
      message: `\`${field}\` has the wrong type`,
      fix: `use a JSON ${expected === "int" ? "number" : expected}`,
      param: field,
    });
  }
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
