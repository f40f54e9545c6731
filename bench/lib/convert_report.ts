/**
 * What conversions may cost, and the table of what they did.
 *
 * @module
 */
import type { Dtype } from "../../core/model/convert/manifest.ts";
import type { Difference, Pairing } from "./paired.ts";

/** Largest share of the fp32 size, and largest difference of the score. */
export const LIMITS: Readonly<Record<Dtype, { readonly size: number; readonly score: number }>> = {
  fp16: { size: 0.55, score: 0.01 },
  int4: { size: 0.32, score: 0.03 },
};

export interface ConvertSide extends Pairing {
  readonly dtype: Dtype;
  /** Of all files but the copies of configuration and tokenizer. */
  readonly bytes: number;
  /** Of the fp32 size. */
  readonly share: number;
  readonly holds: { readonly size: boolean; readonly score: boolean };
}

/** @param fp32 bytes of all the checkpoint's tensors as fp32 */
export function convertTable(fp32: number, sides: readonly ConvertSide[]): string {
  const lines = [`fp32  ${megabytes(fp32)}`];
  for (const { dtype, bytes, share, pictures, identical, score, strict, holds } of sides) {
    const limit = LIMITS[dtype];
    lines.push(
      `${dtype}  ${megabytes(bytes)}, ${(100 * share).toFixed(1)} % of fp32 (below ${
        (100 * limit.size).toFixed(0)
      } %: ${yes(holds.size)})`,
      `      ${identical} of ${pictures} pictures are the same to the byte`,
      `      score   ${difference(score)} (within ${limit.score}: ${yes(holds.score)})`,
      `      strict  ${difference(strict)}`,
    );
  }
  return lines.join("\n");
}

function difference({ base, other, difference, interval: [low, high], only_base, only_other }: Difference): string {
  return `${other.toFixed(4)} against ${base.toFixed(4)}: ${signed(difference)} [${signed(low)}, ${
    signed(high)
  }], ${only_other} gained, ${only_base} lost`;
}

const signed = (value: number) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(4)}`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
const yes = (holds: boolean) => holds ? "yes" : "NO";
