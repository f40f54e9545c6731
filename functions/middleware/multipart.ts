/**
 * `multipart/form-data`: fields of text and files, within the limits of a body that brings pictures.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";
import { type Limits, mediaLimits, readBody } from "./limits.ts";

export interface Form {
  /** One value a name. */
  readonly fields: ReadonlyMap<string, string>;
  /** Any number a name; a name that ends in `[]` is the name without it. */
  readonly files: ReadonlyMap<string, readonly Uint8Array[]>;
  /** What the first file of each name is called. */
  readonly names: ReadonlyMap<string, string>;
}

/** Parts of a form; OpenAI's has 16 pictures, a mask and fewer than twenty fields. */
const MOST_PARTS = 64;

/** @throws `unsupported_media_type` (415), `invalid_multipart`, `parameter_twice`, what `readBody` throws */
export async function readForm(request: Request, limits: Limits): Promise<Form> {
  const contentType = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\s*;.*boundary=/i.test(contentType)) {
    throw new UnmaskError({
      code: "unsupported_media_type",
      message: "the content type is not multipart/form-data",
      fix: "send a form, as curl -F does",
      status: 415,
    });
  }
  const body = await readBody(request, mediaLimits(limits));
  const form = await new Response(body, { headers: { "content-type": contentType } }).formData().catch(
    (cause: unknown) => {
      throw invalid("it cannot be read", cause);
    },
  );
  const fields = new Map<string, string>();
  const files = new Map<string, Uint8Array[]>();
  const names = new Map<string, string>();
  let parts = 0;
  for (const [given, value] of form) {
    if (++parts > MOST_PARTS) throw invalid(`it has more than ${MOST_PARTS} parts`);
    const name = given.replace(/\[\]$/, "");
    if (typeof value !== "string") {
      if (!names.has(name)) names.set(name, value.name);
      files.set(name, [...files.get(name) ?? [], new Uint8Array(await value.arrayBuffer())]);
    } else if (fields.has(name)) {
      throw new UnmaskError({
        code: "parameter_twice",
        message: `\`${name.replace(/[^\x20-\x7e]/g, "?").slice(0, 64)}\` is there twice`,
        fix: "send it once",
      });
    } else fields.set(name, value);
  }
  return { fields, files, names };
}

function invalid(what: string, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "invalid_multipart",
    message: `the form cannot be taken: ${what}`,
    fix: "send it with a client that makes multipart/form-data, such as curl -F",
    cause,
  });
}
