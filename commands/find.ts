/**
 * `deno task find PICTURE "EXPRESSION"...`: a box for each, all in one forward.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import type { TextResult } from "../core/tasks/all_tasks.ts";
import { openInference } from "../core/tasks/remote.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel } from "./lib/model.ts";
import { readPicture, refusePictures } from "./lib/picture_file.ts";
import { checkInput, given, runWithProgress, toldOf, withModel } from "./lib/task_command.ts";

export const FIND_FLAGS = {
  steps: { kind: "number", help: "forwards; between them coordinates are fixed as context (default: 1)" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

const USAGE = 'deno task find picture.png "the red car" "the dog"';

export function findCommand(open: OpenModel): Command {
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
    const options = { expressions, ...given({ steps: flags.steps }) };
    checkInput("ground", { picture, ...options });
    return await withModel(open, modelChoice(flags), async (inference) => {
      const input = { picture: bytes, ...options };
      const run = await runWithProgress<TextResult>(inference, "ground", input, "finding", context);
      const { boxes = [], text } = run.result;
      context.output.stderr(`${text}\n`);
      return { boxes, ...toldOf(inference, run) };
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

if (import.meta.main) await main(findCommand(openInference));
