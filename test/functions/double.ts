/**
 * An inference that paints its seed: the doors' tests need pictures that differ by seed and draws that take as long as a
 * test says, not a model. What scenes can be asked for is checked for real, and runs are real runs in a store in memory.
 * Never part of the product.
 */
import { afterEach } from "vitest";
import { counts } from "../../core/diffusion/schedule.ts";
import type { AdmissionOptions } from "../../core/runs/admission.ts";
import { drawKind } from "../../core/runs/state/draw_kind.ts";
import type { EncodeOutput, StepEngine } from "../../core/runs/step_engine.ts";
import { type AppOptions, createApp } from "../../functions/app.ts";
import type { Codec } from "../../core/image/codec_thread.ts";
import type { Model, Picture } from "../../core/model/types.ts";
import { choose, DRAW_DEFAULTS } from "../../core/tasks/draw_defaults.ts";
import { type DrawInput, parseDrawInput } from "../../core/tasks/draw_input.ts";
import { refuseSize } from "../../core/tasks/draw_refusals.ts";
import { type DrawState, foldDraw } from "../../core/tasks/draw_state.ts";
import type { DrawResult } from "../../core/tasks/draw.ts";
import type { Delta } from "../../core/tasks/task.ts";
import type { RemoteInference, RemoteSteps } from "../../core/tasks/remote.ts";
import { maskedPositions, maskedSequence } from "../../core/tasks/sequence.ts";
import type { Limits } from "../../functions/middleware/limits.ts";
import { houseOf, type TestHouse } from "./house_of.ts";
import { checkPrompt, parseLexicon } from "../../core/model/lexicon.ts";

const lexicon = parseLexicon(
  await Deno.readTextFile(new URL("../../models/scenes/lexicon.json", import.meta.url)),
);

export const INFO: RemoteInference["info"] = {
  provider: "cpu",
  runtime: "double 0.0.0",
  device: "a test",
  software: false,
  threads: 1,
  model: "scenes",
  imageSize: 256,
  loaded: [{ graph: "prompt", bytes: 300 }, { graph: "draw_prefix", bytes: 4000 }],
  tasks: ["draw"],
};

/** The part of a model that the refusal of a size looks at. */
const MODEL = { config: { nativeResolution: 256 } } as Model;
/** 16 x 16 positions of 256 codes; a code is a shade. */
const POSITIONS = 256;

/** What was asked for, and how far it came. */
export interface Seen {
  readonly requests: DrawInput[];
  steps: number;
  finished: number;
}

/** Steps of draws; what a double can do. */
interface DrawSteps extends Pick<RemoteSteps, "decode" | "meanCode"> {
  start(input: DrawInput): Promise<DrawState>;
  open(state: DrawState): Promise<{ step(): Promise<Delta | null>; close(): Promise<void> }>;
  result(state: DrawState): Promise<DrawResult>;
}

export interface Double extends RemoteInference {
  readonly steps: RemoteSteps;
  readonly seen: Seen;
}

export function double(options: { readonly stepMilliseconds?: number; readonly fail?: unknown } = {}): Double {
  const seen: Seen = { requests: [], steps: 0, finished: 0 };
  const openAt = (from: DrawState) => {
    let state = from;
    return {
      async step() {
        if (options.stepMilliseconds !== undefined) {
          await new Promise((resolve) => setTimeout(resolve, options.stepMilliseconds));
        }
        const positions = maskedPositions(state.sequence).slice(0, state.counts[0]);
        const ids = positions.map(() => state.settings.seed % 256);
        const delta = { step: state.step + 1, positions, ids };
        state = foldDraw(state, delta);
        seen.steps++;
        return delta;
      },
      close: () => Promise.resolve(),
    };
  };
  const steps: DrawSteps = {
    start: (input) => Promise.resolve().then(() => start(input, options.fail)),
    open(from) {
      seen.requests.push(requestOf(from));
      return Promise.resolve(openAt(from));
    },
    result: ({ settings }) => {
      seen.finished++;
      return Promise.resolve({
        picture: shade(settings.seed % 256),
        settings,
        promptTokens: 11,
        imageTokens: POSITIONS,
      });
    },
    decode: (ids) => Promise.resolve(shade(ids.find((id) => id !== 0) ?? 0)),
    meanCode: () => Promise.resolve(0),
  };
  return {
    info: INFO,
    seen,
    steps: steps as unknown as RemoteSteps,
    async draw(input, { signal, onStep } = {}) {
      const request = parseDrawInput(input);
      seen.requests.push(request);
      let state = await steps.start(request);
      const stepper = openAt(state);
      while (state.counts.length > 0) {
        const delta = await stepper.step();
        signal?.throwIfAborted();
        state = foldDraw(state, delta);
        onStep?.(state.step, state.step + state.counts.length);
      }
      const result = await steps.result(state);
      const { seed, order, guidance } = state.settings;
      return { ...result, seed, steps: state.step, guidance, order, seconds: 0.25 };
    },
    close: () => Promise.resolve(),
  };
}

function start(input: DrawInput, fail: unknown): DrawState {
  if (fail !== undefined) throw fail;
  refuseSize(input.size, MODEL);
  const { prompt, seed, size: _, ...asked } = input;
  const settings = { ...choose(DRAW_DEFAULTS, asked), prompt: checkPrompt(prompt, lexicon), seed };
  const list = counts(POSITIONS, settings.steps, "none", 1);
  return { settings, step: 0, counts: list, sequence: maskedSequence("vq", POSITIONS, 60_000) };
}

/** As it was asked for, as far as a state tells: the options that are not the default ones. */
function requestOf({ settings: { prompt, seed, ...settings } }: DrawState): DrawInput {
  const defaults: Readonly<Record<string, unknown>> = { ...DRAW_DEFAULTS };
  const changed = Object.entries(settings).filter(([name, value]) => value !== defaults[name]);
  return { prompt, seed, ...Object.fromEntries(changed) };
}

function shade(value: number): Picture {
  return { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3).fill(value) };
}

/** Not a picture file: format, quality and the first pixel, which is what these tests look at. */
export const encodeDouble: EncodeOutput = (picture, format, quality) =>
  Promise.resolve(new TextEncoder().encode(`${format} ${quality ?? "-"} ${picture.data[0] ?? "none"}`));

export const codecDouble: Codec = {
  encode: encodeDouble,
  decode: () => Promise.reject(new Error("no masks here")),
  close: () => Promise.resolve(),
};

export async function houseWith(inference: Double, admission: AdmissionOptions = {}): Promise<TestHouse> {
  const { steps } = inference;
  const engine: StepEngine = {
    fingerprint: "double",
    start: (_, input) => steps.start(input),
    open: (_, state) => steps.open(state),
    result: (_, state) => steps.result(state),
    decode: steps.decode,
    meanCode: steps.meanCode,
  };
  return await houseOf({ engine, kinds: [drawKind], encode: encodeDouble, model: INFO.model, admission });
}

const open: Promise<TestHouse>[] = [];
afterEach(async () => {
  for (const house of open.splice(0)) await house.then(({ close }) => close(), () => {});
});

export interface DoubleOptions {
  readonly limits?: Partial<Limits>;
  readonly admission?: AdmissionOptions;
  readonly access?: Omit<NonNullable<AppOptions["access"]>, "keys">;
}

/** What `createApp` takes, over one double; closed behind the test. */
export function doubleOptions(
  inference: Double | Promise<Double> = double(),
  { limits = {}, admission = {}, access = { policy: "open" } }: DoubleOptions = {},
): AppOptions & { readonly house: Promise<TestHouse> } {
  const house = Promise.resolve(inference).then((opened) => houseWith(opened, admission));
  open.push(house);
  const runs = house.then(({ door: { runs, engine, encode } }) => ({
    runs,
    engine,
    encode,
    decode: codecDouble.decode,
    imageSize: INFO.imageSize,
  }));
  const protocols = house.then(({ door }) => door);
  const keys = house.then(({ keys }) => keys);
  for (const door of [house, runs, protocols, keys]) door.catch(() => {});
  return { inference: Promise.resolve(inference), runs, protocols, limits, access: { ...access, keys }, house };
}

export function appWith(inference: Double | Promise<Double> = double(), options: DoubleOptions = {}) {
  return createApp(doubleOptions(inference, options));
}

export const IMAGES = "/v1/images/generations";

/** A POST of a JSON body, as a client sends it. */
export function json(body: unknown): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
