/**
 * `deno task edit PICTURE "INSTRUCTION"`: another picture into a file. The same seed, options and machine give the same
 * bytes.
 *
 * @module
 */
import { encodePicture } from "../core/image/codec.ts";
import type { PictureResult } from "../core/tasks/all_tasks.ts";
import type { EditState } from "../core/tasks/edit.ts";
import { openInference } from "../core/tasks/remote.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel } from "./lib/model.ts";
import { outputFile, writePicture } from "./lib/output_file.ts";
import { oneSentence, readFile, readPicture } from "./lib/picture_file.ts";
import { readPlan } from "./lib/plan_file.ts";
import { seedOf } from "./lib/seed.ts";
import { checkInput, given, runWithProgress, toldOf, withModel } from "./lib/task_command.ts";

export const EDIT_FLAGS = {
  seed: { kind: "number", help: "the same seed edits alike (default: a new one)" },
  steps: { kind: "number", help: "forward passes over the picture; more take longer" },
  guidance: { kind: "number", help: "how strongly the instruction pulls; 0 is not at all" },
  "image-guidance": { kind: "number", help: "how strongly the picture pulls; 0 is not at all" },
  order: { kind: "text", help: "which masks come off first: stratified, confidence, halton or random" },
  plan: { kind: "text", help: "a file of boxes, as deno task plan prints them" },
  mask: { kind: "text", help: "a PNG of the picture's size, transparent where it shall be edited" },
  lock: { kind: "text", help: "none, mask or plan: what is outside keeps its exact tokens" },
  out: { kind: "text", help: "the file; .png, .jpg or .webp choose the format (default: edited.png)" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

const USAGE = 'deno task edit picture.png "make the car red"';

export function editCommand(open: OpenModel, encode: typeof encodePicture): Command {
  return async (args, context) => {
    const { flags, positionals } = parseFlags(args, EDIT_FLAGS);
    if (flags.help) {
      context.output.stderr(`${usage('edit PICTURE "INSTRUCTION" [flags]', EDIT_FLAGS)}\n`);
      return { help: true };
    }
    const [path, ...words] = positionals;
    const { bytes, picture } = await readPicture(path, USAGE);
    const instruction = oneSentence(words, "instruction", USAGE);
    const file = await outputFile(flags.out ?? "edited.png");
    const mask = flags.mask === undefined ? undefined : await readFile(flags.mask, "mask");
    const plan = flags.plan === undefined ? undefined : await readPlan(flags.plan);
    const { steps, guidance, "image-guidance": imageGuidance, order, lock } = flags;
    const seed = seedOf(flags.seed);
    const options = { instruction, ...given({ seed, steps, guidance, imageGuidance, order, lock, ...plan }) };
    checkInput("edit", { picture, ...options });
    return await withModel(open, modelChoice(flags), async (inference) => {
      const input = { picture: bytes, ...options, ...given({ mask }) };
      const run = await runWithProgress<PictureResult, EditState>(inference, "edit", input, "editing", context);
      await writePicture(file, run.result.picture, encode);
      const { width, height } = run.result.picture, { settings } = run.state.draw;
      const told = toldOf(inference, run);
      context.output.stderr(
        `${file.out}: ${width}x${height}, seed ${settings.seed}, ${settings.steps} steps, ${told.seconds} s on ` +
          `${told.provider}\n`,
      );
      return {
        out: file.out,
        instruction,
        width,
        height,
        seed: settings.seed,
        steps: settings.steps,
        guidance: settings.guidance,
        image_guidance: run.state.imageGuidance,
        order: settings.order,
        /** Positions that were drawn; null: all of them. */
        positions: run.state.region?.length ?? null,
        ...told,
      };
    });
  };
}

if (import.meta.main) await main(editCommand(openInference, encodePicture));
