/**
 * `POST /v1/images/edits`: a picture, an instruction, and where a mask is transparent. A view of runs, as generations are.
 *
 * @module
 */
import type { Context } from "hono";
import { z } from "zod";
import { UnmaskError } from "../../../core/errors.ts";
import type { RunRequest } from "../../../core/runs/acceptance.ts";
import { type Form, readForm } from "../../middleware/multipart.ts";
import type { Environment } from "../../middleware/request_id.ts";
import { ask, finished, type OpenAIRoute, refuseModel, seedFor } from "./door.ts";
import { imagesAnswer } from "./picture_answer.ts";
import { encodingOf, pictureFields, refusal, REFUSALS, refuseCombinations } from "./picture_fields.ts";
import { streamPicture } from "./picture_stream.ts";

export const editsInput = z.strictObject({
  ...pictureFields,
  input_fidelity: z.string().pipe(z.enum(["low"])).nullish(),
});

/** Fields that are numbers or switches; a form has text alone. */
const NUMBERS = ["n", "partial_images", "output_compression", "seed", "steps", "guidance"];
const SWITCHES = ["stream"];

export async function editImages(
  context: Context<Environment>,
  { opening, readiness, limits }: OpenAIRoute,
): Promise<Response> {
  const form = await readForm(context.req.raw, limits);
  const door = await opening;
  const { image, mask } = filesOf(form);
  const body = valuesOf(form);
  const parsed = editsInput.safeParse(body);
  if (!parsed.success) {
    throw refusal(parsed.error.issues, body, ["image", "mask", ...Object.keys(editsInput.shape)], REFUSALS);
  }
  const input = parsed.data;
  refuseCombinations(input);
  refuseModel(input.model, door.model);
  refuseSize(input.size, readiness.info?.imageSize);
  const seed = input.seed ?? seedFor(context);
  const { steps, guidance, order } = input;
  const given = Object.fromEntries(
    Object.entries({ steps, guidance, order, mask }).filter(([, value]) => value != null),
  );
  const requests = Array.from({ length: input.n ?? 1 }, (_, index): RunRequest => ({
    task: "edit",
    input: { instruction: input.prompt, picture: image, seed: seed + index, ...given },
    output: encodingOf(input),
  }));
  const asked = await ask(context, door, requests, input.stream === true);
  if (input.stream === true) return streamPicture(context, door, asked, "image_edit", input);
  const records = await finished(context, door, asked);
  return context.json(await imagesAnswer(context, door, readiness, records, input), 200, {
    "cache-control": "no-store",
  });
}

/** @throws `unknown_parameter`, `missing_required_parameter`, `several_images_unsupported` */
function filesOf({ files }: Form): { readonly image: Uint8Array; readonly mask: Uint8Array | undefined } {
  for (const name of files.keys()) {
    if (name !== "image" && name !== "mask") {
      const shown = name.replace(/[^\x20-\x7e]/g, "?").slice(0, 64);
      throw wrong("unknown_parameter", `there is no file \`${shown}\``, "send the files image and mask", shown);
    }
  }
  const [image, ...images] = files.get("image") ?? [];
  const [mask, ...masks] = files.get("mask") ?? [];
  if (image === undefined) {
    throw wrong("missing_required_parameter", "the file `image` is missing", "send the picture to edit", "image");
  }
  if (images.length > 0 || masks.length > 0) {
    const param = images.length > 0 ? "image" : "mask";
    const message = "this model edits one picture at a time";
    throw wrong("several_images_unsupported", message, `send one file \`${param}\``, param);
  }
  return { image, mask };
}

/** Numbers and switches as JSON would have them; what is neither stays text, and the schema refuses it. */
function valuesOf({ fields }: Form): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...fields].map(([name, text]) => {
    if (NUMBERS.includes(name) && /^-?\d+(\.\d+)?$/.test(text)) return [name, Number(text)];
    if (SWITCHES.includes(name) && /^(true|false)$/.test(text)) return [name, text === "true"];
    return [name, text];
  }));
}

/** An edit has the model's own size; the picture may have any. */
function refuseSize(size: string | null | undefined, native: number | undefined): void {
  if (size == null || size === "auto" || size === `${native}x${native}`) return;
  throw wrong("size_unsupported", "the size of an edit cannot be chosen", "leave size out, or use auto", "size");
}

function wrong(code: string, message: string, fix: string, param: string): UnmaskError {
  return new UnmaskError({ code, message, fix, param });
}
