/**
 * How well an icon fits a place of a picture: first by its tokens' means, which rules out nearly everything at little
 * cost, then by its blocks.
 *
 * @module
 */
import { type Levels, levelsOfSprite, TOKEN } from "./blocks.ts";
import type { Rgb, Sprite } from "./world.ts";

export interface Fit {
  /** Mean difference of the icon's blocks, the worst channel of each, 0..255. */
  readonly error: number;
  /** Share of the blocks next to the icon, within its box, that are not ground. */
  readonly ring: number;
  /** Share of the icon's area in tokens whose mean is wrong: missing, of another colour, of another icon. */
  readonly flaws: number;
}

/** Thresholds, chosen on exact, blurred, noisy and VQ-decoded scenes (test/bench/scenes/judge.test.ts). */
const LIMITS = {
  error: 24,
  /** The error as a share of what it would be if there were only ground: an icon as pale as the ground needs more. */
  unlikeGround: 0.6,
  ring: 0.25,
  flaws: 0.2,
  /** A block beside the icon is not ground when a channel is this far off. */
  stray: 20,
  /** A token is wrong when its mean is off by half of what tells it from the ground, within these bounds. */
  tokenLeast: 10,
  tokenMost: 26,
} as const;

/** Blocks of less cover than this belong to the ground around an icon. */
const EDGE = 0.25;

/** How many blocks around an icon must be ground. */
const RING = 2;

/** An icon in one colour, ready to be laid on pictures. */
export interface Template {
  readonly levels: Levels;
  /** Blocks of the icon, and blocks of its box that are none but near it. */
  readonly icon: Uint16Array;
  readonly around: Uint16Array;
  /** Tokens that show some of the icon, those that show most first: what is no such object fails after a few. */
  readonly tokens: Uint8Array;
  /** Cover summed over tokens. */
  readonly area: number;
}

export function templateOf(sprite: Sprite): Template {
  const levels = levelsOfSprite(sprite), { blocks, tokens } = levels;
  const covered = (i: number) => (blocks.cover[i] as number) >= EDGE;
  const near = (i: number) => {
    const x = i % blocks.side, y = Math.floor(i / blocks.side);
    for (let py = Math.max(0, y - RING); py <= Math.min(blocks.side - 1, y + RING); py++) {
      for (let px = Math.max(0, x - RING); px <= Math.min(blocks.side - 1, x + RING); px++) {
        if (covered(py * blocks.side + px)) return true;
      }
    }
    return false;
  };
  const indices = [...blocks.cover.keys()];
  const cover = (i: number) => tokens.cover[i] as number;
  return {
    levels,
    icon: Uint16Array.from(indices.filter(covered)),
    around: Uint16Array.from(indices.filter((i) => !covered(i) && near(i))),
    tokens: Uint8Array.from(
      [...tokens.cover.keys()].filter((i) => cover(i) > 0.02).sort((a, b) => cover(b) - cover(a)),
    ),
    area: tokens.cover.reduce((sum, value) => sum + value, 0),
  };
}

/** A template's tokens over one ground. */
export interface TokensOnGround {
  readonly rgb: Float32Array;
  /** How far off a token's mean may be. */
  readonly tolerance: Float32Array;
}

export function tokensOnGround({ levels: { tokens } }: Template, ground: Rgb): TokensOnGround {
  const { rgb, cover } = tokens, n = cover.length;
  const out = new Float32Array(n * 3), tolerance = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    let contrast = 0;
    for (let c = 0; c < 3; c++) {
      const behind = ground[c] as number, value = (rgb[i * 3 + c] as number) + behind * (1 - (cover[i] as number));
      out[i * 3 + c] = value;
      contrast = Math.max(contrast, Math.abs(value - behind));
    }
    tolerance[i] = Math.max(LIMITS.tokenLeast, Math.min(LIMITS.tokenMost, contrast / 2));
  }
  return { rgb: out, tolerance };
}

/** Flawed share of a template with its corner at token (left, top), or undefined beyond the limit. */
export function flawsOf(
  picture: Levels,
  { levels, tokens, area }: Template,
  { rgb, tolerance }: TokensOnGround,
  left: number,
  top: number,
): number | undefined {
  const { side, cover } = levels.tokens, wide = picture.tokens, most = LIMITS.flaws * area;
  let wrong = 0;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as number, from = token * 3, allowed = tolerance[token] as number;
    const to = ((top + Math.floor(token / side)) * wide.side + left + token % side) * 3;
    if (
      Math.abs((wide.rgb[to] as number) - (rgb[from] as number)) <= allowed &&
      Math.abs((wide.rgb[to + 1] as number) - (rgb[from + 1] as number)) <= allowed &&
      Math.abs((wide.rgb[to + 2] as number) - (rgb[from + 2] as number)) <= allowed
    ) continue;
    wrong += cover[token] as number;
    if (wrong > most) return undefined;
  }
  return wrong / area;
}

/** Error and ring of a template with its corner at token (left, top), or undefined beyond the limits. */
export function errorOf(
  picture: Levels,
  template: Template,
  ground: Rgb,
  left: number,
  top: number,
): Omit<Fit, "flaws"> | undefined {
  const { levels: { blocks: { side, rgb, cover } }, icon, around } = template;
  const wide = picture.blocks, corner = (top * wide.side + left) * TOKEN;
  const off = (from: number, withIcon: boolean): number => {
    const to = corner + Math.floor(from / side) * wide.side + from % side;
    const share = withIcon ? cover[from] as number : 0;
    let worst = 0;
    for (let c = 0; c < 3; c++) {
      const wanted = (withIcon ? rgb[from * 3 + c] as number : 0) + (ground[c] as number) * (1 - share);
      worst = Math.max(worst, Math.abs((wide.rgb[to * 3 + c] as number) - wanted));
    }
    return worst;
  };
  let sum = 0;
  const most = LIMITS.error * icon.length;
  for (let i = 0; i < icon.length; i++) if ((sum += off(icon[i] as number, true)) > most) return undefined;
  let bare = 0;
  for (let i = 0; i < icon.length; i++) bare += off(icon[i] as number, false);
  if (sum > LIMITS.unlikeGround * bare) return undefined;
  let stray = 0;
  for (let i = 0; i < around.length; i++) if (off(around[i] as number, true) > LIMITS.stray) stray++;
  const error = sum / icon.length, ring = stray / Math.max(1, around.length);
  return ring > LIMITS.ring ? undefined : { error, ring };
}
