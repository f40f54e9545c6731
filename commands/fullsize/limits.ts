/**
 * What the dry run's figures may be, at the published size.
 *
 * @module
 */
import type { ConvertFigures, RunFigures } from "./table.ts";

/** Of drawing at int4. ONNX Runtime's CPU provider takes fp32 scales only; with fp16 scales it would be 3.8 GB. */
export const LIMITS = { loaded: 4.2e9, running: 9 * 2 ** 30, converting: 6 * 2 ** 30 } as const;

export interface Limit {
  readonly what: string;
  readonly bytes: number;
  readonly most: number;
  readonly holds: boolean;
}

/** Of whatever was measured. */
export function limits(converted: ConvertFigures | null, runs: readonly RunFigures[]): Limit[] {
  const found: Limit[] = [];
  const put = (what: string, bytes: number | null, most: number) => {
    if (bytes !== null) found.push({ what, bytes, most, holds: bytes <= most });
  };
  if (converted !== null) put("peak while converting", converted.peak, LIMITS.converting);
  const draw = runs.find(({ part }) => part === "draw");
  if (draw === undefined) return found;
  put("weights loaded for drawing, VQ decoder included", draw.loadedBytes, LIMITS.loaded);
  put("memory that loading took", draw.residentLoaded, LIMITS.loaded);
  put("peak while drawing", draw.peak, LIMITS.running);
  return found;
}

export function limitLines(all: readonly Limit[]): string[] {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  return all.map(({ what, bytes, most, holds }) =>
    `${holds ? "holds" : "FAILS"}  ${what}: ${gigabytes(bytes)} of at most ${gigabytes(most)}`
  );
}
