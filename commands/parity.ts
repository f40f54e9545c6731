/**
 * `deno task parity FOLDER`: a folder of reference numbers against the runtime that ships, case by case. Exits 1 on any
 * miss.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openEngine } from "../core/engine/choose.ts";
import { UnmaskError } from "../core/errors.ts";
import { type Command, type ExitCode, type JsonLine, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice } from "./lib/model.ts";
import { CaseFile } from "./parity/case_file.ts";
import { checkDecode } from "./parity/check_decode.ts";
import { checkLoops } from "./parity/check_loops.ts";
import { checkPreprocess, checkVq } from "./parity/check_pictures.ts";
import { checkPrompts, checkSchedule } from "./parity/check_plain.ts";
import { checkT2iForward } from "./parity/check_t2i_forward.ts";
import { checkGrounding, checkTextForward } from "./parity/check_text.ts";
import { MODEL_FILES, openReferenceModel, type ReferenceModel } from "./parity/reference_model.ts";
import { CaseReport, table } from "./parity/report.ts";

const PARITY_FLAGS = { provider: MODEL_FLAGS.provider, threads: MODEL_FLAGS.threads, ...COMMON_FLAGS } as const;

type Check = (file: CaseFile, reference: ReferenceModel) => CaseReport[] | Promise<CaseReport[]>;

/** Files that need no model. */
const PLAIN: Readonly<Record<string, (file: CaseFile) => CaseReport[]>> = {
  schedule: checkSchedule,
  prompts: checkPrompts,
};

/** Every other file of the layout. */
const CHECKS: Readonly<Record<string, Check>> = {
  vq: checkVq,
  image_preprocess: checkPreprocess,
  t2i_forward: checkT2iForward,
  text_forward: checkTextForward,
  grounding: checkGrounding,
  text_decode: checkDecode,
  t2i_loop: checkLoops,
  edit_loop: checkLoops,
};

/** The command; its line says how many missed. */
export const parityCommand: Command = async (args, { output, signal }) => {
  const { flags, positionals } = parseFlags(args, PARITY_FLAGS);
  const tell = (text: string) => output.stderr(`${text}\n`);
  if (flags.help) {
    tell(usage("parity FOLDER [flags]", PARITY_FLAGS));
    return { help: true };
  }
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) {
    throw new UnmaskError({
      code: "parity_folder_missing",
      message: "parity takes one folder of reference numbers",
      fix: "write deno task parity FOLDER",
    });
  }
  const { provider, threads } = modelChoice({ ...flags, model: folder });
  const absent: string[] = [];
  const unread: string[] = [];
  const reports: CaseReport[] = [];
  const files = async (names: readonly string[]) => {
    const opened: CaseFile[] = [];
    for (const name of names) {
      const file = await CaseFile.open(folder, name);
      if (file === undefined) absent.push(`${name}.json`);
      else opened.push(file);
      if (file?.complete === false) absent.push(`${name}.safetensors`);
    }
    return opened;
  };
  const run = async (file: CaseFile, check: () => CaseReport[] | Promise<CaseReport[]>) => {
    signal.throwIfAborted();
    tell(`checking ${file.name}`);
    try {
      reports.push(...await check());
    } catch (error) {
      // A broken file is a miss, not the end: the others are still worth knowing.
      const report = new CaseReport(file.name, "*");
      report.fail("check", error instanceof Error ? error.message : String(error));
      reports.push(report);
    }
    unread.push(...file.unread.map((tensor) => `${file.name}/${tensor}`));
    await file.close();
  };

  for (const file of await files(Object.keys(PLAIN))) await run(file, () => PLAIN[file.name]?.(file) ?? []);
  const others = await files(Object.keys(CHECKS));
  const missing = await missingFiles(folder, MODEL_FILES);
  absent.push(...missing);
  let machine = "no model";
  if (others.length > 0 && missing.length === 0) {
    const engine = await openEngine({ ...(provider && { provider }), ...(threads && { threads }) });
    machine = `${engine.info.provider}, ${engine.info.runtime}`;
    const reference = await openReferenceModel(folder, engine);
    try {
      for (const file of others) await run(file, () => CHECKS[file.name]?.(file, reference) ?? []);
    } finally {
      await reference.close();
      await engine.close();
    }
  }
  tell(`\n${table(reports)}\n`);
  if (absent.length > 0) tell(`absent from the folder: ${absent.join(", ")}`);
  if (unread.length > 0) tell(`not compared: ${byKind(unread)}`);
  return conclude(reports, machine, tell);
};

/** `vq/distance_gap x2` for tensors of several cases. */
function byKind(names: readonly string[]): string {
  const kinds = new Map<string, number>();
  for (const name of names) {
    const kind = name.replace(/\/.*\//, "/");
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, count]) => count === 1 ? kind : `${kind} x${count}`).join(", ");
}

async function missingFiles(folder: string, names: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const name of names) {
    if (!await stat(join(folder, name)).then(() => true, () => false)) missing.push(name);
  }
  return missing;
}

/** The last line: a count. */
function conclude(reports: readonly CaseReport[], machine: string, tell: (text: string) => void) {
  const skipped = reports.filter(({ optional }) => optional !== undefined).length;
  const missed = reports.filter(({ ok }) => !ok).length;
  const passed = reports.length - skipped - missed;
  const ties = reports.filter(({ comparisons }) => comparisons.some(({ tied }) => tied)).length;
  const tied = ties === 0 ? "" : `, ${ties} with a tie decided the other way`;
  const count = `${passed} of ${passed + missed} cases pass${tied}, ${skipped} optional skipped (${machine})`;
  if (passed + missed === 0) {
    throw new UnmaskError({
      code: "parity_no_cases",
      message: "the folder has no case that could be checked",
      fix: "give a folder laid out as the README of the reference numbers says, with its model files",
      status: 500,
    });
  }
  tell(count);
  return { passed, missed, ties, skipped, machine };
}

/** 1 on any miss. */
export function parityExit({ missed }: JsonLine): ExitCode {
  return typeof missed === "number" && missed > 0 ? 1 : 0;
}

if (import.meta.main) await main(parityCommand, parityExit);
