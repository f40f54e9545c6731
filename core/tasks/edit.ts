/**
 * Editing: a picture and an instruction to another picture, as a step machine (facts 6.4). Its first step encodes the
 * source; the ids stay in the state, so that a resumed run draws beside the same ones.
 *
 * @module
 */
import { z } from "zod";
import { fixedOrder } from "../diffusion/order/order.ts";
import { counts } from "../diffusion/schedule.ts";
import { squareForVq } from "../image/frame.ts";
import { checkInstruction, type Lexicon } from "../model/lexicon.ts";
import type { Model, Picture } from "../model/types.ts";
import { requireVision, viewsOf } from "../model/vision.ts";
import { choose, DRAW_DEFAULTS, type DrawDefaults } from "./draw_defaults.ts";
import { drawOptions } from "./draw_input.ts";
import { refuseLength, refuseUnused, unusedOption } from "./draw_refusals.ts";
import { editSetup } from "./draw_setup.ts";
import { type DrawState, foldDraw, takeOver } from "./draw_state.ts";
import { DrawStepper } from "./draw_stepper.ts";
import { lockedRegion, LOCKS } from "./edit_region.ts";
import { editPlan, planInput, planVerb } from "./plan_input.ts";
import { maskedSequence } from "./sequence.ts";
import type { Delta, Stepper, Task } from "./task.ts";
import { pictureInput } from "./task_input.ts";

export const editInput = drawOptions.omit({ micro: true }).extend({
  instruction: z.string(),
  /** Of any size: the tower sees it as it is, the VQ tokenizer on a black square. */
  picture: pictureInput,
  /** 0 to 2^53 - 1. */
  seed: z.int().min(0),
  /** What the row of image guidance keeps: 0 source ids, 1 all but those, 2 all but both, 3 both. @default {0} */
  mode: z.literal([0, 1, 2, 3]).optional(),
  /** wi; weighs the picture as `guidance` weighs the words. @default {1.4} */
  imageGuidance: z.number().min(0).max(20).optional(),
  /** Where things are or shall be, in pixels of the picture; it goes in front of the new picture. */
  plan: planInput.optional(),
  /** What a plan of boxes is about. @default {"edit"} */
  planVerb: planVerb.optional(),
  /** Of the picture's own size, light where it shall be edited. */
  mask: pictureInput.optional(),
  /**
   * What bounds the edit: everything outside the mask, or outside the plan's boxes, keeps the source's tokens.
   *
   * @default {"mask" with a mask, else "none"}
   */
  lock: z.enum(LOCKS).optional(),
});

export type EditInput = z.infer<typeof editInput>;

export interface EditState {
  readonly picture: Picture;
  readonly mode: 0 | 1 | 2 | 3;
  readonly imageGuidance: number;
  readonly plan: string | null;
  /** Positions that are drawn; null: all. */
  readonly region: Uint32Array | null;
  /** VQ ids of the source; null until the first step has encoded it. */
  readonly source: Uint16Array | null;
  /** The new picture; `settings.prompt` is the instruction. */
  readonly draw: DrawState;
}

/** Of step 0: `source`, and nothing revealed. Every other step is a draw's. */
export interface EditDelta extends Delta {
  readonly source?: Uint16Array;
}

export interface EditResult {
  readonly picture: Picture;
  /** VQ ids of the new picture. */
  readonly ids: Uint16Array;
}

export type EditTask = Task<EditInput, EditState, EditResult, Model, EditDelta>;

/** The release's demo (facts 6.1); the rest is a draw's. */
const EDIT_DEFAULTS: DrawDefaults = { ...DRAW_DEFAULTS, guidance: 1.2, micro: "" };
const IMAGE_GUIDANCE = 1.4;

/**
 * `start` throws what `checkInstruction` and `editPlan` throw and `part_missing` (no vision tower), `prompt_too_long`,
 * `order_needs_power_of_two`, `top_k_needs_top_p`, `option_unused`, `mask_missing`, `plan_missing`,
 * `mask_size_mismatch`, `region_empty`.
 *
 * @param lexicon what instructions are about; null: anything
 */
export function createEdit(lexicon: Lexicon | null = null): EditTask {
  return {
    name: "edit",
    input: editInput,
    start: (input, model) => start(input, model, lexicon),
    open: async (state, model) => {
      const stepper = new EditStepper(state, model);
      await stepper.prepare();
      return stepper;
    },
    fold: foldEdit,
    done: ({ source, draw }) => source !== null && draw.counts.length === 0,
    result,
  };
}

function start(input: EditInput, model: Model, lexicon: Lexicon | null): EditState {
  const { instruction, picture, seed, mode = 0, imageGuidance = IMAGE_GUIDANCE, ...more } = input;
  const { plan: given, planVerb, mask, lock, ...asked } = more;
  const { guidanceInterval, ...others } = asked;
  // An interval bounds either guidance.
  refuseUnused(
    imageGuidance > 0 || guidanceInterval === undefined ? others : { ...others, guidanceInterval },
    EDIT_DEFAULTS,
  );
  const { grid, vqMaskId } = model.config;
  const chosen = choose(EDIT_DEFAULTS, asked);
  fixedOrder(chosen.order, grid, seed);
  const list = counts(grid * grid, chosen.steps, chosen.schedule, chosen.shift);
  const settings = { ...chosen, prompt: checkInstruction(instruction, lexicon), seed, steps: list.length };
  const draw = { settings, step: 0, counts: list, sequence: maskedSequence("vq", grid * grid, vqMaskId) };
  const plan = planOf(given, planVerb, picture, model, lexicon);
  const region = lockedRegion({ lock, mask, plan, picture }, model);
  const state: EditState = { picture, mode, imageGuidance, plan: plan?.text ?? null, region, source: null, draw };
  const { order } = viewsOf(requireVision(model.config), picture, "tiles");
  // Lengths need no pixels yet.
  const { rows, suffix } = setUp(
    state,
    new Float32Array(order.length * model.config.dModel),
    new Uint16Array(grid * grid),
    model,
  );
  const tail = suffix instanceof Int32Array ? suffix.length : suffix[0]?.length ?? 0;
  refuseLength(rows[0].length + tail, model);
  return state;
}

function planOf(
  plan: EditInput["plan"],
  verb: EditInput["planVerb"],
  picture: Picture,
  { config: { locTokens } }: Model,
  lexicon: Lexicon | null,
) {
  if (plan !== undefined) return editPlan(plan, verb, { canvas: picture, locTokens, lexicon });
  if (verb === undefined) return undefined;
  throw unusedOption("planVerb", "a plan");
}

/** The prompt as it was tokenized, `IMAGE_ID` where the tower's tokens stand. */
export function editPromptIds(state: EditState, model: Model): Int32Array {
  const { order } = viewsOf(requireVision(model.config), state.picture, "tiles");
  const features = new Float32Array(order.length * model.config.dModel);
  return setUp(state, features, new Uint16Array(model.config.grid ** 2), model).rows[0];
}

function setUp({ mode, imageGuidance, plan, draw }: EditState, features: Float32Array, ids: Uint16Array, model: Model) {
  const request = { instruction: draw.settings.prompt, mode, imageGuidance, ...(plan === null ? {} : { plan }) };
  return editSetup(request, { features, ids }, model);
}

/** Pure. */
function foldEdit(state: EditState, { source, ...delta }: EditDelta): EditState {
  if (source !== undefined) {
    if (state.source !== null || delta.step !== 0) throw new RangeError("the source was encoded before");
    const { region } = state;
    // A fork or redraw has begun already, and with what its parent kept.
    const draw = region === null || state.draw.step > 0 ? state.draw : takeOver(state.draw, source, region);
    return { ...state, source, draw };
  }
  if (state.source === null) throw new RangeError("the source is not encoded yet");
  return { ...state, draw: foldDraw(state.draw, delta) };
}

class EditStepper implements Stepper<EditDelta> {
  #state: EditState;
  readonly #model: Model;
  #drawing: DrawStepper | undefined;
  /** Of the source, for the drawing's prompt. */
  #features: Float32Array | undefined;
  #closed = false;

  constructor(state: EditState, model: Model) {
    this.#state = state;
    this.#model = model;
  }

  /** Looks at a source that is encoded already, so that a step is a step from the first on. */
  async prepare(): Promise<void> {
    const { source, draw } = this.#state;
    if (source !== null && draw.counts.length > 0) await this.#open(source);
  }

  /** Fails without moving: after an error the same step may be tried again. */
  async step(): Promise<EditDelta | null> {
    if (this.#closed) throw new RangeError("this stepper is closed");
    const { source, picture, draw } = this.#state;
    if (source === null) {
      this.#features ??= await this.#model.understanding.look(picture, "tiles");
      const ids = await this.#model.encode(squareForVq(picture, this.#model.config.nativeResolution));
      const delta = { step: 0, positions: new Uint32Array(), ids: new Uint32Array(), source: ids };
      this.#state = foldEdit(this.#state, delta);
      return delta;
    }
    if (draw.counts.length === 0) return null;
    const delta = await (await this.#open(source)).step();
    if (delta !== null) this.#state = foldEdit(this.#state, delta);
    return delta;
  }

  get bytes(): number {
    return (this.#drawing?.bytes ?? 0) + (this.#features?.byteLength ?? 0);
  }

  close(): void {
    this.#closed = true;
    this.#drawing?.close();
  }

  async #open(source: Uint16Array): Promise<DrawStepper> {
    if (this.#drawing !== undefined) return this.#drawing;
    const features = this.#features ?? await this.#model.understanding.look(this.#state.picture, "tiles");
    if (this.#closed) throw new RangeError("this stepper was closed while it looked at its source");
    this.#features = undefined;
    const setup = setUp(this.#state, features, source, this.#model);
    return this.#drawing = new DrawStepper(this.#state.draw, this.#model, setup);
  }
}

async function result({ draw, source }: EditState, model: Model): Promise<EditResult> {
  if (source === null || draw.counts.length > 0) throw new RangeError(`${draw.counts.length} steps are left`);
  const ids = draw.sequence.ids as Uint16Array;
  return { picture: await model.decode(ids), ids };
}
