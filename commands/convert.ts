/**
 * `deno task convert --from FOLDER --to FOLDER --dtype fp16|int4`: a checkpoint to graphs in fewer bits, which load faster
 * and take less memory.
 *
 * @module
 */
import { openEngine } from "../core/engine/choose.ts";
import { UnmaskError } from "../core/errors.ts";
import { convert } from "../core/model/convert/convert.ts";
import { folderSource } from "../core/model/convert/folder_source.ts";
import { CONVERTED_PARTS, type ConvertedPart, type Dtype, DTYPES } from "../core/model/convert/manifest.ts";
import { isStoredFolder, openStoredFolder } from "../core/model/convert/stored_folder.ts";
import { type Command, type CommandContext, main } from "./lib/command.ts";
import { COMMON_FLAGS, type FlagValues, parseFlags, usage } from "./lib/flags.ts";
import { Progress } from "./lib/progress.ts";

export const CONVERT_FLAGS = {
  from: { kind: "text", help: "the checkpoint's folder: config.json, tokenizer.json, *.safetensors, vqvae/" },
  to: { kind: "text", help: "a folder that is not there yet" },
  dtype: { kind: "text", help: "fp16, or int4 (of layers and heads; what is small stays fp16)" },
  parts: { kind: "text", help: "draw, understand or all (default: all)" },
  verify: { kind: "text", help: "check every checksum of a converted folder instead" },
  ...COMMON_FLAGS,
} as const;

const MEGABYTE = 1e6;

export const convertCommand: Command = async (args, context) => {
  const { flags, positionals } = parseFlags(args, CONVERT_FLAGS);
  if (flags.help) {
    context.output.stderr(`${usage("convert --from FOLDER --to FOLDER --dtype fp16|int4 [flags]", CONVERT_FLAGS)}\n`);
    return { help: true };
  }
  if (positionals.length > 0) throw refused("argument_unknown", `${positionals[0]} belongs to no flag`, "from");
  if (flags.verify !== undefined) return await verify(flags.verify, context);
  return await run(flags, context);
};

async function run(flags: FlagValues<typeof CONVERT_FLAGS>, { output, signal }: CommandContext) {
  const from = required(flags.from, "from");
  const to = required(flags.to, "to");
  const dtype = choice<Dtype>(required(flags.dtype, "dtype"), DTYPES, "dtype");
  const asked = choice(flags.parts ?? "all", [...CONVERTED_PARTS, "all"] as const, "parts");
  const parts: readonly ConvertedPart[] = asked === "all" ? CONVERTED_PARTS : [asked];
  if (await isStoredFolder(from)) throw refused("source_converted", `${from} is converted already`, "from");
  const bars = new Bars(output);
  const source = await folderSource(from, parts, {
    signal,
    onProgress: (done, total) => bars.update("fingerprint", done, total),
  });
  try {
    // The sums of a fold are to be the same wherever the conversion runs.
    const engine = await openEngine({ provider: "cpu" });
    try {
      const onProgress = bars.update.bind(bars);
      const { files, graphs } = await convert({ source, to, dtype, parts, engine, onProgress, signal });
      bars.end();
      const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
      output.stderr(`${to}: ${megabytes(bytes)} in ${files.length} files, ${graphs.length} graphs, ${dtype}\n`);
      return {
        to,
        dtype,
        parts,
        bytes,
        files: files.length,
        graphs: graphs.map(({ name, weights }) => ({ name, weights })),
      };
    } finally {
      bars.end();
      await engine.close();
    }
  } finally {
    await source.close();
  }
}

async function verify(path: string, { output }: CommandContext) {
  const bars = new Bars(output);
  const onProgress = (done: number, total: number) => bars.update("checksums", done, total);
  try {
    const folder = await openStoredFolder(path, { verify: true, onProgress });
    await folder.close();
    bars.end();
    const { dtype, parts, files } = folder.manifest;
    output.stderr(`${path}: ${files.length} files are as they were written\n`);
    return { verified: path, dtype, parts, files: files.length };
  } finally {
    bars.end();
  }
}

/** A bar for each thing that is made, in megabytes. */
class Bars {
  readonly #output: CommandContext["output"];
  #what = "";
  #bar: Progress | undefined;

  constructor(output: CommandContext["output"]) {
    this.#output = output;
  }

  update(what: string, done: number, total: number): void {
    if (what !== this.#what) {
      this.end();
      this.#bar = new Progress(this.#output, `${what}, MB`);
      this.#what = what;
    }
    this.#bar?.update(Math.floor(done / MEGABYTE), Math.max(1, Math.floor(total / MEGABYTE)));
  }

  end(): void {
    this.#bar?.end();
    this.#bar = undefined;
    this.#what = "";
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / MEGABYTE).toFixed(1)} MB`;
}

function required(value: string | undefined, name: keyof typeof CONVERT_FLAGS): string {
  if (value !== undefined && value !== "") return value;
  throw new UnmaskError({
    code: "flag_missing",
    message: `--${name} is missing`,
    fix: "write deno task convert --from FOLDER --to FOLDER --dtype fp16",
    param: name,
  });
}

function choice<T extends string>(value: string, choices: readonly T[], name: string): T {
  const found = choices.find((each) => each === value);
  if (found !== undefined) return found;
  throw new UnmaskError({
    code: "flag_unknown_value",
    message: `--${name} cannot be ${value}`,
    fix: `use --${name} ${choices.join(" or ")}`,
    param: name,
  });
}

function refused(code: string, message: string, param: string): UnmaskError {
  return new UnmaskError({ code, message, fix: "deno task convert --help shows how it is called", param });
}

if (import.meta.main) await main(convertCommand);
