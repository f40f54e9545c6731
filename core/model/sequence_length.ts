/**
 * How long a sequence may be, which also bounds what its keys and values take.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { ModelConfig } from "./config.ts";

/** @param tokens of the whole sequence. @throws {UnmaskError} `sequence_too_long` */
export function checkLength({ maxPositions }: ModelConfig, tokens: number): void {
  if (tokens <= maxPositions) return;
  throw new UnmaskError({
    code: "sequence_too_long",
    message: `the sequence has ${tokens} tokens, the model takes ${maxPositions}`,
    fix: "shorten the prompt",
    param: "prompt",
  });
}
