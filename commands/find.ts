/**
 * `deno task find PICTURE "EXPRESSION"...`: a box for each, all in one forward.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import { encodePicture } from "../core/image/codec.ts";
import { type TextResult, thoseFound } from "../core/tasks/all_tasks.ts";
import { openInference } from "../core/tasks/remote.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel } from "./lib/model.ts";
import { outputFile } from "./lib/output_file.ts";
import { writeOverlay } from "./lib/overlay_file.ts";
import { readPicture, refusePictures } from "./lib/picture_file.ts";
import { checkInput, given, runWithProgress, toldOf, withModel } from "./lib/task_command.ts";

export const FIND_FLAGS = {
  steps: { kind: "number", help: "forwards; between them coordinates are fixed as context (default: 1)" },
  out: { kind: "text", help: "a file for the boxes on the picture; .png, .jpg or .webp" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

const USAGE = 'deno task find picture.png "the red car" "the dog"';

export function findCommand(open: OpenModel, encode: typeof encodePicture): Command {
  return async (args, context) => {
    const { flags, positionals } = parseFlags(args, FIND_FLAGS);
    if (flags.help) {
      context.output.stderr(`${usage('find PICTURE "EXPRESSION"... [flags]', FIND_FLAGS)}\n`);
      return { help: true };
    }
    const [path, ...expressions] = positionals;
    const { bytes, picture } = await readPicture(path, USAGE);
    refusePictures(expressions, USAGE);
    if (expressions.length === 0) throw nothingToFind();
    const file = flags.out === undefined ? undefined : await outputFile(flags.out);
    const options = { expressions, ...given({ steps: flags.steps }) };
    checkInput("ground", { picture, ...options });
    return await withModel(open, modelChoice(flags), async (inference) => {
      const input = { picture: bytes, ...options };
      const run = await runWithProgress<TextResult>(inference, "ground", input, "finding", context);
      const { boxes = [], text } = run.result;
      context.output.stderr(`${text}\n`);
      if (file !== undefined) await writeOverlay(context.output, file, picture, thoseFound(boxes), encode);
      return { boxes, ...given({ out: file?.out }), ...toldOf(inference, run) };
    });
  };
}

function nothingToFind(): UnmaskError {
  return new UnmaskError({
    code: "expression_missing",
    message: "there is nothing to find",
    fix: `say what, each in quotes: ${USAGE}`,
    param: "expression",
  });
}

if (import.meta.main) await main(findCommand(openInference, encodePicture));
