/**
 * `deno task draw "PROMPT"`: one picture into a file. The same seed, options and machine give the same bytes.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import { encodePicture } from "../core/image/codec.ts";
import { type DrawInput, parseDrawInput } from "../core/tasks/draw_input.ts";
import { type FinishedDraw, openInference, type RemoteInference } from "../core/tasks/remote.ts";
import { type Command, type CommandContext, main } from "./lib/command.ts";
import { COMMON_FLAGS, type FlagValues, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel } from "./lib/model.ts";
import { outputFile, writePicture } from "./lib/output_file.ts";
import { readPlan } from "./lib/plan_file.ts";
import { Progress } from "./lib/progress.ts";
import { seedOf } from "./lib/seed.ts";
import { given } from "./lib/task_command.ts";

export const DRAW_FLAGS = {
  seed: { kind: "number", help: "the same seed draws the same picture (default: a new one)" },
  steps: { kind: "number", help: "forward passes over the picture; more take longer" },
  guidance: { kind: "number", help: "how strongly the prompt pulls; 0 is not at all" },
  size: { kind: "text", help: "auto, or the model's native size" },
  order: { kind: "text", help: "which masks come off first: stratified, confidence, halton or random" },
  plan: { kind: "text", help: "a file of boxes, as deno task plan --json prints them" },
  out: { kind: "text", help: "the file; .png, .jpg or .webp choose the format (default: picture.png)" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

type DrawFlags = FlagValues<typeof DRAW_FLAGS>;

/** The command over a way to open a model and a codec; tests give it others. */
export function drawCommand(open: OpenModel, encode: typeof encodePicture): Command {
  return async (args, context) => {
    const { flags, positionals } = parseFlags(args, DRAW_FLAGS);
    if (flags.help) {
      context.output.stderr(`${usage('draw "PROMPT" [flags]', DRAW_FLAGS)}\n`);
      return { help: true };
    }
    const prompt = onePrompt(positionals);
    const plan = flags.plan === undefined ? undefined : (await readPlan(flags.plan)).plan;
    const request = drawInput(prompt, flags, plan);
    const file = await outputFile(flags.out ?? "picture.png");
    const inference = await open(modelChoice(flags));
    try {
      const drawn = await draw(inference, request, context);
      await writePicture(file, drawn.picture, encode);
      return report(drawn, prompt, file.out, inference, context);
    } finally {
      await inference.close();
    }
  };
}

/** Checked before seconds of loading. */
function drawInput(prompt: string, flags: DrawFlags, plan: DrawInput["plan"]): DrawInput {
  const { size, steps, guidance, order } = flags;
  const seed = seedOf(flags.seed);
  return parseDrawInput({ prompt, ...given({ seed, size, steps, guidance, order, plan }) });
}

async function draw(
  inference: RemoteInference,
  request: DrawInput,
  { output, signal }: CommandContext,
): Promise<FinishedDraw> {
  const progress = new Progress(output, "drawing");
  try {
    return await inference.draw(request, { signal, onStep: (step, steps) => progress.update(step, steps) });
  } finally {
    progress.end();
  }
}

function report(
  drawn: FinishedDraw,
  prompt: string,
  out: string,
  inference: RemoteInference,
  { output }: CommandContext,
) {
  const { width, height } = drawn.picture;
  const { seed, steps, guidance, order } = drawn;
  const { model, provider } = inference.info;
  const seconds = Number(drawn.seconds.toFixed(3));
  output.stderr(`${out}: ${width}x${height}, seed ${seed}, ${steps} steps, ${seconds} s on ${provider}\n`);
  return { out, prompt, width, height, seed, steps, guidance, order, model, provider, seconds };
}

function onePrompt(positionals: readonly string[]): string {
  const [prompt, ...more] = positionals;
  if (prompt !== undefined && more.length === 0) return prompt;
  throw new UnmaskError({
    code: prompt === undefined ? "prompt_missing" : "prompt_not_quoted",
    message: prompt === undefined ? "there is no prompt" : "the prompt came in several arguments",
    fix: 'put it in quotes: deno task draw "a photo of a dog"',
    param: "prompt",
  });
}

if (import.meta.main) await main(drawCommand(openInference, encodePicture));
