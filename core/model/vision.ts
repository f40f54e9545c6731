/**
 * Pictures as tokens of the understanding branch: views, tower, projector, and newlines between rows (facts 7).
 *
 * @module
 */
import { anyresViews, NEWLINE, singleView, viewPixels, type Views } from "../image/views.ts";
import type { Session } from "../engine/types.ts";
import { UnmaskError } from "../errors.ts";
import type { ModelConfig } from "./config.ts";
import type { Graphs } from "./graphs.ts";
import { visionProjectGraph } from "./graphs/vision_project.ts";
import { visionTowerGraph } from "./graphs/vision_tower.ts";
import { hostFloats } from "./outputs.ts";
import type { Picture } from "./types.ts";
import { cellsAcross, type VisionConfig } from "./vision_config.ts";
import type { TensorSource } from "./weights.ts";

/** `tiles`: one picture alone in its prompt, base view and tiles; `single`: one of several, base view only. */
export type Look = "tiles" | "single";

/** The loaded tower. */
export class Vision {
  readonly #config: ModelConfig;
  readonly #vision: VisionConfig;
  readonly #sessions: { readonly tower: Session; readonly project: Session };
  readonly #newline: Float32Array;

  private constructor(
    config: ModelConfig,
    vision: VisionConfig,
    sessions: { readonly tower: Session; readonly project: Session },
    newline: Float32Array,
  ) {
    this.#config = config;
    this.#vision = vision;
    this.#sessions = sessions;
    this.#newline = newline;
  }

  /** @throws {UnmaskError} `part_missing` if the model has no tower */
  static async load(config: ModelConfig, source: TensorSource, graphs: Graphs): Promise<Vision> {
    const vision = requireVision(config);
    const newline = await source.read("model.image_newline");
    const tower = await graphs.load("vision_tower", () => visionTowerGraph(vision, source));
    try {
      const project = await graphs.load("vision_project", () => visionProjectGraph(config, vision, source));
      return new Vision(config, vision, { tower, project }, newline);
    } catch (error) {
      await tower.release();
      throw error;
    }
  }

  /** fp32 [tokens, dModel], newlines included; {@link imageTokens} says how many. */
  async look(picture: Picture, look: Look): Promise<Float32Array> {
    const { views, order } = viewsOf(this.#vision, picture, look);
    const d = this.#config.dModel;
    const cells = cellsAcross(this.#vision) ** 2;
    const tokens = new Float32Array(views.length * cells * d);
    // View by view: a run's memory does not grow with the picture.
    for (const [index, view] of views.entries()) {
      tokens.set(await this.#tokens(view), index * cells * d);
    }
    const result = new Float32Array(order.length * d);
    for (const [place, cell] of order.entries()) {
      result.set(cell === NEWLINE ? this.#newline : tokens.subarray(cell * d, (cell + 1) * d), place * d);
    }
    return result;
  }

  async #tokens(view: Picture): Promise<Float32Array> {
    const { features } = await this.#sessions.tower.run({ pixels: viewPixels([view]) }, ["features"], ["features"]);
    if (features === undefined) throw new RangeError("the tower gave no features");
    try {
      return await hostFloats(await this.#sessions.project.run({ features }, ["tokens"]), "tokens");
    } finally {
      if ("release" in features) features.release();
    }
  }

  async release(): Promise<void> {
    await this.#sessions.tower.release();
    await this.#sessions.project.release();
  }
}

/** @throws {UnmaskError} `part_missing` */
export function requireVision(config: ModelConfig): VisionConfig {
  if (config.vision !== undefined) return config.vision;
  throw new UnmaskError({
    code: "part_missing",
    message: "this model has no vision tower",
    fix: "use a model that can see",
  });
}

/** Views and token order of a picture. */
export function viewsOf(vision: VisionConfig, picture: Picture, look: Look): Views {
  const geometry = { side: vision.imageSize, cells: cellsAcross(vision), pinpoints: vision.pinpoints };
  return look === "tiles" ? anyresViews(picture, geometry) : singleView(picture, geometry);
}
