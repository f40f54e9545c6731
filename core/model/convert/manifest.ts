/**
 * What a converted folder says of itself: `unmask.json`, written last, so that a folder without it is no model.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../../errors.ts";
import { isPlainName } from "../plain_name.ts";

export const MANIFEST = "unmask.json";

/** Raise it with every change of a graph's inputs, outputs or weights: older folders are then converted again. */
export const GRAPH_VERSION = 1;

/** Rows of these are looked up on the host; graphs do not hold them. */
export const TABLES = "tables.safetensors";

const plain = z.string().refine(isPlainName, { error: "is not a plain file name" });
const count = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: "is not a SHA-256 checksum" });

export const DTYPES = ["fp16", "int4"] as const;
export const CONVERTED_PARTS = ["draw", "understand"] as const;

const schema = z.object({
  format: z.literal("unmask-graphs"),
  graph_version: z.int(),
  dtype: z.enum(DTYPES),
  parts: z.array(z.enum(CONVERTED_PARTS)).min(1),
  /** Of the checkpoint that was converted: over its configuration and the bytes of its weights. */
  source: z.object({ fingerprint: z.string().min(1) }),
  graphs: z.array(z.object({
    name: plain,
    part: z.enum(CONVERTED_PARTS),
    model: plain,
    /** Files of external data that this graph reads; graphs share them. */
    data: z.array(plain),
    /** Bytes of its weights. */
    weights: count,
    keep_half: z.boolean(),
  })).min(1),
  /** Every file of the folder's own but the configuration's copies, with its checksum. */
  files: z.array(z.object({ name: plain, bytes: count, sha256 })).min(1),
});

export type Manifest = z.infer<typeof schema>;
export type Dtype = Manifest["dtype"];
export type ConvertedPart = Manifest["parts"][number];

/** @throws {UnmaskError} `manifest_invalid`, `converted_elsewhere` */
export function parseManifest(json: unknown): Manifest {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(`${issue?.path.join(".") || "the file"}: ${issue?.message}`);
  }
  const manifest = parsed.data;
  if (manifest.graph_version !== GRAPH_VERSION) {
    throw new UnmaskError({
      code: "converted_elsewhere",
      message:
        `${MANIFEST} was written for graphs of version ${manifest.graph_version}, here they have version ${GRAPH_VERSION}`,
      fix: "convert the checkpoint again with `deno task convert`",
    });
  }
  const known = new Set(manifest.files.map(({ name }) => name));
  for (const graph of manifest.graphs) {
    const unknown = [graph.model, ...graph.data].find((name) => !known.has(name));
    if (unknown !== undefined) throw invalid(`graph ${graph.name} needs ${unknown}, which is not among its files`);
  }
  if (!known.has(TABLES)) throw invalid(`${TABLES} is not among its files`);
  return manifest;
}

function invalid(problem: string): UnmaskError {
  return new UnmaskError({
    code: "manifest_invalid",
    message: `${MANIFEST}: ${problem}`,
    fix: "convert the checkpoint again with `deno task convert`",
  });
}
