/**
 * Text to token ids and back, over the published layout's `tokenizer.json`.
 *
 * @module
 */
import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { UnmaskError } from "../errors.ts";
import type { Tokenizer } from "./types.ts";

function parseObject(text: string, name: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(name, "is not JSON", cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(name, "is not a JSON object");
  return value as Record<string, unknown>;
}

function invalid(name: string, reason: string, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "tokenizer_invalid",
    message: `${name} ${reason}`,
    fix: "copy tokenizer.json and tokenizer_config.json of the model folder again",
    status: 500,
    cause,
  });
}

/**
 * A tokenizer from the texts of `tokenizer.json` and, where there is one, `tokenizer_config.json`.
 *
 * `encode` adds nothing of its own (no beginning-of-text; facts 3.1) and recognises added tokens inside the text, so text
 * of strangers must pass `checkPrompt` first. `decode` never cleans up spaces; `skipSpecial` (default false) drops control
 * tokens and keeps LOC and box tokens; it throws `token_out_of_range` for an id without a token. `encode` takes any string.
 *
 * @throws UnmaskError `tokenizer_invalid`
 */
export function createTokenizer(tokenizerJson: string, configJson = "{}"): Tokenizer {
  const json = parseObject(tokenizerJson, "tokenizer.json");
  const config = parseObject(configJson, "tokenizer_config.json");
  let inner: HubTokenizer;
  try {
    inner = new HubTokenizer(json, config);
  } catch (cause) {
    throw invalid("tokenizer.json", "is not a tokenizer that can be read", cause);
  }
  let vocabularySize = 0;
  for (const id of inner.get_vocab(true).values()) vocabularySize = Math.max(vocabularySize, id + 1);

  return {
    vocabularySize,
    encode: (text) => Int32Array.from(inner.encode(text, { add_special_tokens: false }).ids),
    decode(ids, options) {
      if (ids.length === 0) return "";
      const list = Array.from(ids);
      for (const id of list) {
        if (inner.id_to_token(id) === undefined) {
          throw new UnmaskError({
            code: "token_out_of_range",
            message: `${id} is no token id of this model`,
            fix: `use ids from 0 to ${vocabularySize - 1}`,
          });
        }
      }
      return inner.decode(list, {
        skip_special_tokens: options?.skipSpecial ?? false,
        clean_up_tokenization_spaces: false,
      });
    },
    id(token) {
      const id = inner.token_to_id(token);
      if (id !== undefined) return id;
      throw new UnmaskError({
        code: "unknown_token",
        message: `the tokenizer has no token ${token}`,
        fix: "use a model folder whose tokenizer.json has the chat, image, mask and LOC tokens of the published layout",
        status: 500,
      });
    },
  };
}
