/**
 * The tokenizer of the parity numbers: special tokens at their published ids, every other UTF-8 byte b is 1000 + b.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";
import type { Tokenizer } from "../../core/model/types.ts";

const FIXED = new Map<string, number>([
  ["<|startoftext|>", 126080],
  ["<|endoftext|>", 126081],
  ["<|mdm_mask|>", 126336],
  ["<|start_header_id|>", 126346],
  ["<|end_header_id|>", 126347],
  ["<|eot_id|>", 126348],
  ["<box_p>", 127374],
  ["</box_p>", 127375],
  ["<LOC_BEGIN>", 127376],
  ["<LOC_END>", 127377],
]);
for (let n = 0; n <= 251; n++) FIXED.set(`<|reserved_token_${n}|>`, 126084 + n);
for (let k = 0; k <= 1024; k++) FIXED.set(`<LOC_${k}>`, 126349 + k);
const TEXT_OF = new Map([...FIXED].map(([text, id]) => [id, text]));
// Every special token starts with "<" and ends with the first ">" behind it, so no two overlap.
const CANDIDATE = /(<[^<>]*>)/;

export function standInTokenizer(): Tokenizer {
  const encoder = new TextEncoder();
  return {
    vocabularySize: 127378,
    encode(text) {
      const ids: number[] = [];
      for (const piece of text.split(CANDIDATE)) {
        const special = FIXED.get(piece);
        if (special !== undefined) ids.push(special);
        else for (const byte of encoder.encode(piece)) ids.push(1000 + byte);
      }
      return Int32Array.from(ids);
    },
    decode(ids) {
      const bytes: number[] = [];
      for (const id of Array.from(ids)) {
        const special = TEXT_OF.get(id);
        if (special !== undefined) bytes.push(...encoder.encode(special));
        else bytes.push(id - 1000);
      }
      return new TextDecoder().decode(Uint8Array.from(bytes));
    },
    id(token) {
      const id = FIXED.get(token);
      if (id === undefined) throw new UnmaskError({ code: "unknown_token", message: token, fix: "" });
      return id;
    },
  };
}
