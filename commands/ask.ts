/**
 * `deno task ask PICTURE "QUESTION"`: an answer in words.
 *
 * @module
 */
import type { TextResult } from "../core/tasks/all_tasks.ts";
import { openInference } from "../core/tasks/remote.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel } from "./lib/model.ts";
import { oneSentence, readPicture } from "./lib/picture_file.ts";
import { checkInput, given, runWithProgress, toldOf, withModel } from "./lib/task_command.ts";

export const ASK_FLAGS = {
  length: { kind: "number", help: "tokens of the answer at most, a multiple of 16 (default: 64)" },
  temperature: { kind: "number", help: "of sampling; 0 takes the likeliest (default: 0)" },
  seed: { kind: "number", help: "of sampling (default: 0)" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

const USAGE = 'deno task ask picture.png "What is this?"';

export function askCommand(open: OpenModel): Command {
  return async (args, context) => {
    const { flags, positionals } = parseFlags(args, ASK_FLAGS);
    if (flags.help) {
      context.output.stderr(`${usage('ask PICTURE "QUESTION" [flags]', ASK_FLAGS)}\n`);
      return { help: true };
    }
    const [path, ...words] = positionals;
    const { bytes, picture } = await readPicture(path, USAGE);
    const question = oneSentence(words, "question", USAGE);
    const { length, temperature, seed } = flags;
    const options = given({ length, temperature, seed });
    checkInput("answer", { question, picture, ...options });
    return await withModel(open, modelChoice(flags), async (inference) => {
      const input = { question, picture: bytes, ...options };
      const run = await runWithProgress<TextResult>(inference, "answer", input, "answering", context);
      const { text, textTokens, truncated } = run.result;
      context.output.stderr(`${text}\n${truncated ? "(cut off: give it more with --length)\n" : ""}`);
      return { question, answer: text, tokens: textTokens, truncated, ...toldOf(inference, run) };
    });
  };
}

if (import.meta.main) await main(askCommand(openInference));
