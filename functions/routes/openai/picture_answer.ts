/**
 * Finished runs as OpenAI's `ImagesResponse`. What it adds is `data[].seed`, `data[].run` and `unmask`.
 *
 * @module
 */
import type { Context } from "hono";
import type { RunRecord } from "../../../core/runs/record.ts";
import { kindOf } from "../../../core/runs/state/kind.ts";
import type { Environment } from "../../middleware/request_id.ts";
import { linkTo, originOf } from "../protocol_door.ts";
import type { Readiness } from "../readiness.ts";
import type { OpenAIDoor } from "./door.ts";
import type { PictureFields } from "./picture_fields.ts";

export interface PictureUsage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly total_tokens: number;
  readonly input_tokens_details: { readonly text_tokens: number; readonly image_tokens: number };
  readonly output_tokens_details: { readonly text_tokens: number; readonly image_tokens: number };
}

export interface ImagesAnswer {
  /** Seconds since 1970. */
  readonly created: number;
  readonly data: readonly {
    readonly b64_json?: string;
    readonly url?: string;
    readonly seed: number;
    readonly run: string;
  }[];
  readonly size: string;
  readonly quality: string;
  readonly background: "opaque";
  readonly output_format: string;
  readonly usage: PictureUsage;
  readonly unmask: {
    readonly model: string;
    /** Null on a front that computes nothing. */
    readonly provider: string | null;
    readonly seed: number;
    readonly steps: number;
    readonly guidance: number;
    readonly order: string;
    /** Time at work, the turns of other runs in between included, waiting excluded. */
    readonly seconds: number;
  };
}

export async function imagesAnswer(
  context: Context<Environment>,
  door: OpenAIDoor,
  readiness: Readiness,
  records: readonly RunRecord[],
  fields: PictureFields,
): Promise<ImagesAnswer> {
  const first = records[0];
  if (first === undefined) throw new Error("an answer needs a picture");
  const settings = settingsOf(door, first);
  const pictures = Promise.all(records.map(async (record) => {
    const { owner, id, input } = record;
    const about = { seed: Number(input.seed), run: id };
    if (fields.response_format !== "url") {
      return { b64_json: (await door.runs.resultOf(record)).toBase64(), ...about };
    }
    return { url: linkTo(originOf(context, door), door, { owner, run: id, kind: "result" }), ...about };
  }));
  const [data, { guidance, order }] = await Promise.all([pictures, settings]);
  return {
    created: Math.floor(Date.now() / 1000),
    data,
    ...echo(first, fields),
    usage: usageOf(records),
    unmask: {
      model: door.model,
      provider: readiness.info?.provider ?? null,
      seed: Number(first.input.seed),
      steps: first.steps,
      guidance,
      order,
      seconds: secondsOf(records),
    },
  };
}

/** The fields of the request that every answer and every event of a stream repeats. */
export function echo({ output, encoding }: RunRecord, { quality }: PictureFields) {
  return {
    size: output === null ? "auto" : `${output.width}x${output.height}`,
    quality: quality ?? "auto",
    background: "opaque",
    output_format: encoding.format,
  } as const;
}

/** Real counts: of the prompt as it was tokenized, and of the ids that were revealed. */
export function usageOf(records: readonly RunRecord[]): PictureUsage {
  const sum = (of: (output: NonNullable<RunRecord["output"]>) => number) =>
    records.reduce((total, { output }) => total + (output === null ? 0 : of(output)), 0);
  const prompt = sum((output) => output.prompt_tokens);
  const seen = sum((output) => output.seen_tokens ?? 0);
  const drawn = sum((output) => output.image_tokens);
  return {
    input_tokens: prompt,
    output_tokens: drawn,
    total_tokens: prompt + drawn,
    input_tokens_details: { text_tokens: prompt - seen, image_tokens: seen },
    output_tokens_details: { text_tokens: 0, image_tokens: drawn },
  };
}

function secondsOf(records: readonly RunRecord[]): number {
  const milliseconds = records.reduce(
    (sum, { started_at, finished_at }) => sum + Math.max(0, (finished_at ?? 0) - (started_at ?? 0)),
    0,
  );
  return Number((milliseconds / 1000).toFixed(3));
}

/** What was really used, defaults included. */
async function settingsOf(
  { runs }: OpenAIDoor,
  record: RunRecord,
): Promise<{ readonly guidance: number; readonly order: string }> {
  const bytes = await runs.stateOf(record);
  const kind = kindOf(runs.kinds, record.task);
  const settings = bytes === null ? undefined : kind.picture?.settings(kind.decode(bytes));
  if (settings === undefined) throw new Error(`the run ${record.id} ended without a state`);
  return settings;
}
