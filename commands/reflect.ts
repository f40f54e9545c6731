/**
 * `deno task reflect "PROMPT"`: rounds of plan, drawing and verdict until the model calls its own picture correct; the
 * last picture into a file, and what happened as data.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { encodePicture } from "../core/image/codec.ts";
import type { RoundsResult } from "../core/tasks/all_tasks.ts";
import type { RoundTrace } from "../core/tasks/reflect.ts";
import { openInference } from "../core/tasks/remote.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel } from "./lib/model.ts";
import { outputFile, writePicture } from "./lib/output_file.ts";
import { oneSentence } from "./lib/picture_file.ts";
import { seedOf } from "./lib/seed.ts";
import { checkInput, given, runWithProgress, toldOf, withModel } from "./lib/task_command.ts";

export const REFLECT_FLAGS = {
  rounds: { kind: "number", help: "drawings at most (default: 4)" },
  seed: { kind: "number", help: "the same seed draws the same rounds (default: a new one)" },
  steps: { kind: "number", help: "forward passes over each picture" },
  guidance: { kind: "number", help: "how strongly the prompt pulls; 0 is not at all" },
  order: { kind: "text", help: "which masks come off first: stratified, confidence, halton or random" },
  "no-plan": { kind: "switch", help: "draw without a plan" },
  "no-feedback": { kind: "switch", help: "draw anew without seeing the failures" },
  "no-judge": { kind: "switch", help: "one round: a plan and its picture" },
  out: { kind: "text", help: "the file; .png, .jpg or .webp choose the format (default: picture.png)" },
  trace: { kind: "text", help: "a folder for the picture of every round" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

const USAGE = 'deno task reflect "a photo of three dogs"';

export function reflectCommand(open: OpenModel, encode: typeof encodePicture): Command {
  return async (args, context) => {
    const { flags, positionals } = parseFlags(args, REFLECT_FLAGS);
    const { stderr } = context.output;
    if (flags.help) {
      stderr(`${usage('reflect "PROMPT" [flags]', REFLECT_FLAGS)}\n`);
      return { help: true };
    }
    const prompt = oneSentence(positionals, "prompt", USAGE);
    const file = await outputFile(flags.out ?? "picture.png");
    const { rounds, steps, guidance, order } = flags;
    const seed = seedOf(flags.seed);
    const off = (flag: boolean) => flag ? false : undefined;
    const [plan, feedback, judge] = [off(flags["no-plan"]), off(flags["no-feedback"]), off(flags["no-judge"])];
    const input = { prompt, ...given({ seed, rounds, steps, guidance, order, plan, feedback, judge }) };
    checkInput("reflect", input);
    return await withModel(open, modelChoice(flags), async (inference) => {
      const run = await runWithProgress<RoundsResult>(inference, "reflect", input, "reflecting", context);
      const { picture, rounds } = run.result;
      await writePicture(file, picture, encode);
      for (const round of rounds) {
        if (flags.trace !== undefined) await keep(flags.trace, round, encode);
        stderr(`round ${round.round}: ${round.verdict ?? "not judged"}\n`);
      }
      const told = toldOf(inference, run), { width, height } = picture;
      stderr(`${file.out}: ${width}x${height}, seed ${seed}, ${told.seconds} s on ${told.provider}\n`);
      return {
        out: file.out,
        prompt,
        width,
        height,
        seed,
        accepted: rounds.at(-1)?.accepted ?? null,
        rounds: rounds.map(({ picture: _, ids: __, ...round }) => round),
        ...told,
      };
    });
  };
}

async function keep(folder: string, { round, picture }: RoundTrace, encode: typeof encodePicture): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writePicture({ out: join(folder, `round${round}.png`), format: "png" }, picture, encode);
}

if (import.meta.main) await main(reflectCommand(openInference, encodePicture));
