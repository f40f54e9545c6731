/**
 * The body of `POST /v1/images/generations`: OpenAI's fields and ours.
 *
 * @module
 */
import { z } from "zod";
import { refuseModel } from "./door.ts";
import { pictureFields, refusal, REFUSALS, refuseCombinations } from "./picture_fields.ts";

export const imagesInput = z.strictObject({
  ...pictureFields,
  moderation: z.string().pipe(z.enum(["auto"])).nullish(),
  style: z.string().pipe(z.enum(["vivid"])).nullish(),
});

export type ImagesInput = z.infer<typeof imagesInput>;

/**
 * The body, checked against the schema and against the model that is loaded.
 *
 * @throws `missing_required_parameter`, `unknown_parameter`, `invalid_type`, `model_not_found` (404), the codes of
 * `REFUSALS` and what `refuseCombinations` throws
 */
export function parseImagesInput(body: unknown, model: string): ImagesInput {
  const parsed = imagesInput.safeParse(body);
  if (!parsed.success) throw refusal(parsed.error.issues, body, Object.keys(imagesInput.shape), REFUSALS);
  refuseCombinations(parsed.data);
  refuseModel(parsed.data.model, model);
  return parsed.data;
}
