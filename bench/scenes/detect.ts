/**
 * The judge's eyes: which objects a picture shows. Every class, colour and size is laid on every multiple of 16 px, the
 * token grid; what fits is taken best first, without overlap. What is left of the foreground is unexplained.
 *
 * A half car is no car, a patchwork of two colours is neither, and a ball cut out of a larger plain shape is none: see
 * fit.ts.
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";
import { BLOCK, groundOf, type Levels, levelsOfPicture, TOKEN } from "./blocks.ts";
import { errorOf, type Fit, flawsOf, type Template, templateOf, tokensOnGround } from "./fit.ts";
import type { Rgb, Thing, World } from "./world.ts";

export interface Detection extends Thing, Fit {}

export interface Sight {
  readonly detections: readonly Detection[];
  /** Foreground blocks (4x4 px) that no detection explains. */
  readonly unexplained: number;
}

const LIMITS = {
  /** A smoothed block is foreground when a channel is this far from the ground. */
  foreground: 14,
  /** Share of an icon that may lie on blocks already explained. */
  overlap: 0.08,
  /** What a stray block around the icon costs against the error of the icon itself. */
  ringCost: 60,
} as const;

/** Pixels of a token. */
const STEP = TOKEN * BLOCK;

interface Kind {
  readonly cls: number;
  readonly color: number;
  readonly size: number;
  readonly template: Template;
}

interface Candidate {
  readonly detection: Detection;
  readonly template: Template;
  readonly cost: number;
}

/** A detector of the world's objects; making one takes a moment, using it some milliseconds. */
export function createDetector(world: World): (picture: Picture) => Sight {
  const kinds = kindsOf(world);
  return (picture) => {
    const levels = levelsOfPicture(picture), ground = groundOf(picture);
    const candidates = kinds.flatMap((kind) => candidatesOf(kind, levels, ground));
    return select(candidates, foregroundOf(levels, ground), levels.blocks.side);
  };
}

function kindsOf({ data, sprite }: World): Kind[] {
  const colors = [...data.colors, "own"].map((_, color) => color);
  return data.sizes.flatMap((size) =>
    data.classes.flatMap((_, cls) =>
      colors.map((color) => ({ cls, color, size, template: templateOf(sprite(size, cls, color)) }))
    )
  );
}

/** Every place of the token grid where an object of that kind may be. */
function candidatesOf({ template, ...kind }: Kind, levels: Levels, ground: Rgb): Candidate[] {
  const tokens = tokensOnGround(template, ground), found: Candidate[] = [];
  const last = levels.tokens.side - kind.size / STEP;
  for (let top = 0; top <= last; top++) {
    for (let left = 0; left <= last; left++) {
      const flaws = flawsOf(levels, template, tokens, left, top);
      if (flaws === undefined) continue;
      const fit = errorOf(levels, template, ground, left, top);
      if (fit === undefined) continue;
      const detection = { ...kind, x: left * STEP, y: top * STEP, ...fit, flaws };
      found.push({ detection, template, cost: fit.error + LIMITS.ringCost * fit.ring });
    }
  }
  return found;
}

/** [side, side], 1 where the picture is not ground. */
function foregroundOf({ blocks: { side, rgb } }: Levels, ground: Rgb): Uint8Array {
  const out = new Uint8Array(side * side);
  for (let i = 0; i < out.length; i++) {
    let most = 0;
    for (let c = 0; c < 3; c++) most = Math.max(most, Math.abs((rgb[i * 3 + c] as number) - (ground[c] as number)));
    out[i] = most > LIMITS.foreground ? 1 : 0;
  }
  return out;
}

function select(candidates: Candidate[], foreground: Uint8Array, side: number): Sight {
  candidates.sort((a, b) => a.cost - b.cost);
  const explained = new Uint8Array(foreground.length), halo = new Uint8Array(foreground.length);
  const detections: Detection[] = [];
  for (const { detection, template: { icon, levels: { blocks } } } of candidates) {
    const places = icon.map((i) =>
      (detection.y / BLOCK + Math.floor(i / blocks.side)) * side + detection.x / BLOCK + i % blocks.side
    );
    const taken = places.reduce((sum, place) => sum + (explained[place] as number), 0);
    if (taken > LIMITS.overlap * icon.length) continue;
    detections.push(detection);
    for (const place of places) {
      explained[place] = 1;
      spread(halo, side, place);
    }
  }
  const unexplained = foreground.reduce((sum, value, i) => sum + (value === 1 && halo[i] === 0 ? 1 : 0), 0);
  return { detections, unexplained };
}

/** Soft edges spill over by two blocks. */
function spread(halo: Uint8Array, side: number, place: number): void {
  const x = place % side, y = Math.floor(place / side);
  for (let py = Math.max(0, y - 2); py <= Math.min(side - 1, y + 2); py++) {
    halo.fill(1, py * side + Math.max(0, x - 2), py * side + Math.min(side - 1, x + 2) + 1);
  }
}
