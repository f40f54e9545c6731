/** What PyTorch computes from the weights in models/scenes: test/fixtures/scenes.safetensors, by training/model/fixtures.py. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { fileSource } from "../../../core/model/byte_source.ts";
import { Safetensors } from "../../../core/model/safetensors.ts";

export const SCENES = fileURLToPath(new URL("../../../models/scenes", import.meta.url));
const FILE = fileURLToPath(new URL("../../fixtures/scenes.safetensors", import.meta.url));
/** The command that makes the fixture. */
export const MAKE = "cd training/model && python fixtures.py";

/** What the prompts of the cases with pictures are made of. */
interface Told {
  readonly question: string;
  readonly expressions: readonly string[];
  readonly instruction: string;
  /** The feedback on the picture. */
  readonly refused: string;
  /** Of the drawn logits each so many-th is kept. */
  readonly every: number;
}

export interface SceneFixture {
  /** Of the prompt's conditional row. */
  readonly caption: string;
  /** Undefined: the fixture is of weights that cannot see, and has no such cases. */
  readonly told: Told | undefined;
  /** Names of cases of one kind: `cases("draw")` gives draw_blank and so on. */
  cases(kind: "draw" | "decode" | "encode"): readonly string[];
  dims(name: string): readonly number[];
  /** fp32 values. */
  floats(name: string): Promise<Float32Array>;
  /** Of drawn logits [positions, codes] those of the codes that the fixture keeps: each `every`-th. */
  kept(logits: Float32Array, codes: number): Float32Array;
  /** Small integers: ids, positions, pixels. */
  integers(name: string): Promise<number[]>;
  close(): Promise<void>;
}

/** What the fixture is wrong about, or undefined when it is of the shipped weights. */
export async function fixtureProblem(file = FILE, folder = SCENES): Promise<string | undefined> {
  const metadata = await readMetadata(file);
  for (const name of await weightFiles(folder)) {
    const shipped = createHash("sha256").update(await readFile(`${folder}/${name}`)).digest("hex");
    const recorded = metadata[`sha256 ${name}`];
    if (recorded === shipped) continue;
    const found = recorded === undefined ? "says nothing of" : "is of another";
    return `test/fixtures/scenes.safetensors ${found} ${name}; make it again: ${MAKE}`;
  }
  return undefined;
}

/** Names of the folder's weight files, those of the VQ tokenizer last. */
export async function weightFiles(folder = SCENES): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.endsWith(".safetensors")).sort();
}

export async function openFixture(): Promise<SceneFixture> {
  const tensors = await Safetensors.open(await fileSource(FILE, "test/fixtures/scenes.safetensors"));
  const metadata = await readMetadata(FILE);
  const told: Told | undefined = metadata["told"] === undefined ? undefined : JSON.parse(metadata["told"]);
  return {
    caption: metadata["caption"] ?? "",
    told,
    cases: (kind) =>
      [...new Set([...tensors.entries.keys()].map((name) => name.split("/")[0] ?? ""))].filter((name) =>
        name.startsWith(`${kind}_`)
      ),
    dims: (name) => tensors.entries.get(name)?.dims ?? [],
    floats: (name) => tensors.readFloat(name),
    kept: (logits, codes) => logits.filter((_, i) => (i % codes) % (told?.every ?? 1) === 0),
    integers: async (name) => Array.from(await tensors.readInteger(name), Number),
    close: () => tensors.close(),
  };
}

/** The header's `__metadata__`, which the product has no use for. */
export async function readMetadata(file: string): Promise<Readonly<Record<string, string>>> {
  const bytes = await readFile(file);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  return header.__metadata__ ?? {};
}
