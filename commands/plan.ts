/**
 * `deno task plan "PROMPT"`: where things shall go, as boxes that may be changed and sent back: `deno task draw` and
 * `deno task edit` take what `--json` prints as `--plan FILE`.
 *
 * @module
 */
import { encodePicture } from "../core/image/codec.ts";
import { ground } from "../core/image/frame.ts";
import { type TextResult, thoseFound } from "../core/tasks/all_tasks.ts";
import { openInference } from "../core/tasks/remote.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel } from "./lib/model.ts";
import { outputFile } from "./lib/output_file.ts";
import { writeOverlay } from "./lib/overlay_file.ts";
import { oneSentence, readPicture } from "./lib/picture_file.ts";
import { seedOf } from "./lib/seed.ts";
import { checkInput, given, runWithProgress, toldOf, withModel } from "./lib/task_command.ts";

export const PLAN_FLAGS = {
  picture: { kind: "text", help: "a picture; the words are then an instruction that shall edit it" },
  seed: { kind: "number", help: "the same seed plans alike (default: a new one)" },
  temperature: { kind: "number", help: "of sampling; 0 takes the likeliest (default: 0.5, of an edit's plan 0)" },
  out: { kind: "text", help: "a file for the boxes on the picture, or on a white one; .png, .jpg or .webp" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

const USAGE = 'deno task plan "a photo of a red car and a blue dog"';
const WHITE = 255;

export function planCommand(open: OpenModel, encode: typeof encodePicture): Command {
  return async (args, context) => {
    const { flags, positionals } = parseFlags(args, PLAN_FLAGS);
    if (flags.help) {
      context.output.stderr(`${usage('plan "PROMPT" [flags]', PLAN_FLAGS)}\n`);
      return { help: true };
    }
    const source = flags.picture === undefined ? undefined : await readPicture(flags.picture, USAGE);
    const words = oneSentence(positionals, source === undefined ? "prompt" : "instruction", USAGE);
    const asked = source === undefined ? { prompt: words } : { instruction: words };
    const file = flags.out === undefined ? undefined : await outputFile(flags.out);
    const seed = seedOf(flags.seed);
    const options = { ...asked, ...given({ seed, temperature: flags.temperature }) };
    checkInput("plan", { ...options, ...given({ picture: source?.picture }) });
    return await withModel(open, modelChoice(flags), async (inference) => {
      const input = { ...options, ...given({ picture: source?.bytes }) };
      const run = await runWithProgress<TextResult>(inference, "plan", input, "planning", context);
      const { malformed = [], verb } = run.result;
      const boxes = thoseFound(run.result.boxes);
      for (const { label, xyxy } of boxes) context.output.stderr(`${label}: [${xyxy.join(", ")}]\n`);
      for (const piece of malformed) context.output.stderr(`no object with its box: ${JSON.stringify(piece)}\n`);
      if (file !== undefined) {
        const side = inference.info.imageSize;
        await writeOverlay(context.output, file, source?.picture ?? ground(side, side, WHITE), boxes, encode);
      }
      return {
        ...asked,
        seed,
        ...given({ verb, out: file?.out }),
        boxes: boxes.map(({ label, xyxy }) => ({ label, xyxy })),
        malformed,
        ...toldOf(inference, run),
      };
    });
  };
}

if (import.meta.main) await main(planCommand(openInference, encodePicture));
