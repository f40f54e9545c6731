/**
 * What a finished run brought, as the protocols of others carry it: a picture as a data URL, text as text, JSON as JSON.
 *
 * @module
 */
import type { z } from "zod";
import type { RunRecord } from "../record.ts";
import type { Runs } from "../service.ts";

export type Json = z.core.util.JSONType;

/** Null while there is none. */
export async function outputOf(runs: Runs, record: RunRecord): Promise<Json> {
  if (record.state !== "succeeded" || record.output === null) return null;
  const bytes = await runs.resultOf(record);
  const { media_type } = record.output;
  if (media_type === "application/json") return JSON.parse(new TextDecoder().decode(bytes));
  if (media_type.startsWith("text/")) return new TextDecoder().decode(bytes);
  return `data:${media_type};base64,${bytes.toBase64()}`;
}

/** The last line of a progress bar, as `tqdm` writes it and Replicate's clients read it; empty before the first step. */
export function progressLine({ step, steps }: { readonly step: number; readonly steps: number }): string {
  if (steps === 0) return "";
  const tenths = Math.floor((10 * step) / steps);
  return `${Math.floor((100 * step) / steps)}%|${"█".repeat(tenths).padEnd(10)}| ${step}/${steps}\n`;
}

/** Why it ended without a result, in one line; null: it did not. */
export function errorLine({ state, error }: RunRecord): string | null {
  if (state === "failed") return error === null ? "the run failed" : `${error.message} (${error.code}); ${error.fix}`;
  if (state === "expired") return "the deadline passed before the run ended";
  return null;
}

export const isoTime = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString());
