/**
 * What a draw refuses although each field by itself is fine: options that would change nothing, sizes and lengths that
 * the model does not take.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { Model } from "../model/types.ts";
import { choose, type DrawDefaults } from "./draw_defaults.ts";
import type { DrawOptions } from "./draw_input.ts";

/** When an option does something. */
const USES: readonly {
  readonly options: readonly (keyof DrawDefaults)[];
  readonly used: (chosen: DrawDefaults) => boolean;
  readonly needs: string;
}[] = [
  {
    options: ["confidencePolicy", "confidenceTemperature", "confidenceDecay", "confidenceMinimum"],
    used: ({ order }) => order === "confidence",
    needs: "the order confidence",
  },
  {
    options: ["confidenceMinimum"],
    used: ({ confidenceDecay }) => confidenceDecay !== "none",
    needs: "a confidenceDecay",
  },
  {
    options: ["temperatureMinimum"],
    used: ({ temperatureDecay }) => temperatureDecay !== "none",
    needs: "a temperatureDecay",
  },
  {
    options: ["shift"],
    used: ({ schedule, temperatureDecay, confidenceDecay }) =>
      [schedule, temperatureDecay, confidenceDecay].includes("shift"),
    needs: "the schedule shift",
  },
  { options: ["guidanceInterval"], used: ({ guidance }) => guidance > 0, needs: "guidance above 0" },
];

/**
 * A field that would be ignored is refused; at its default value it is accepted.
 *
 * @throws {UnmaskError} `top_k_needs_top_p`, `option_unused`
 */
export function refuseUnused(asked: DrawOptions, defaults: DrawDefaults): void {
  if ((asked.topK === undefined) !== (asked.topP === undefined)) {
    throw new UnmaskError({
      code: "top_k_needs_top_p",
      message: "topK and topP are given together",
      fix: "give both; topK 0 and topP 1 keep every id",
      param: asked.topK === undefined ? "topP" : "topK",
    });
  }
  const chosen = choose(defaults, asked);
  for (const { options, used, needs } of USES) {
    const unused = options.find((name) => asked[name] !== undefined && asked[name] !== defaults[name]);
    if (unused === undefined || used(chosen)) continue;
    throw unusedOption(unused, needs);
  }
}

export function unusedOption(param: string, needs: string): UnmaskError {
  return new UnmaskError({
    code: "option_unused",
    message: `\`${param}\` has no effect without ${needs}`,
    fix: `leave it out, or choose ${needs}`,
    param,
  });
}

/** @throws {UnmaskError} `size_unsupported` */
export function refuseSize(size: string | undefined, { config }: Model): void {
  const native = `${config.nativeResolution}x${config.nativeResolution}`;
  if (size === undefined || size === "auto" || size === native) return;
  throw new UnmaskError({
    code: "size_unsupported",
    message: `this model draws no pictures of that size; it draws ${native}`,
    fix: `leave size out, or use auto or ${native}`,
    param: "size",
  });
}

/** @throws {UnmaskError} `prompt_too_long` */
export function refuseLength(tokens: number, { config }: Model): void {
  const most = config.maxPositions - config.grid * config.grid / 4;
  if (tokens <= most) return;
  throw new UnmaskError({
    code: "prompt_too_long",
    message: `the prompt has ${tokens} tokens, and ${most} fit beside the picture`,
    fix: "say it in fewer words",
    param: "prompt",
  });
}

/** @throws {UnmaskError} `prompt_too_long` */
export function refuseTextLength(tokens: number, answer: number, { config }: Model): void {
  const most = config.maxPositions - answer;
  if (tokens <= most) return;
  throw new UnmaskError({
    code: "prompt_too_long",
    message: `the prompt has ${tokens} tokens, and ${Math.max(0, most)} fit beside the answer`,
    fix: "say it in fewer words, or ask for a shorter answer",
    param: "prompt",
  });
}
