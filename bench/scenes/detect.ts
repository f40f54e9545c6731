/**
 * The judge's eyes: which objects a picture shows. Every class, colour and size is laid on every multiple of 16 px; what
 * fits is taken greedily, best first, without overlap. What is left of the foreground is unexplained.
 *
 * A half car is no car and a patchwork of two colours is neither: an object is accepted only if its blocks are close to
 * the icon's on average and next to none is far off.
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";
import { type Blocks, blocksOf, groundOf, type Template, templateOf } from "./blocks.ts";
import type { Thing, World } from "./world.ts";

export interface Detection extends Thing {
  /** Mean absolute difference to the icon over its blocks, 0..255. */
  readonly error: number;
}

export interface Sight {
  readonly detections: readonly Detection[];
  /** Foreground blocks (16 pixels each) that no detection explains. */
  readonly unexplained: number;
}

/** Thresholds, chosen on exact, blurred, noisy and VQ-decoded scenes (test/bench/scenes). */
const LIMITS = {
  /** A block is foreground when a channel is this far from the ground. */
  foreground: 14,
  /** Share of an icon's blocks that must be foreground. */
  filled: 0.72,
  /** Mean difference over the icon's blocks, and the share of them that may be far off (`far`). */
  error: 26,
  far: 64,
  farShare: 0.14,
  /** Share of an icon that may lie on blocks already explained. */
  overlap: 0.08,
};

interface Candidate extends Detection {
  readonly gain: number;
}

export function createDetector(world: World): (picture: Picture) => Sight {
  const { data } = world;
  const colors = data.colors.length + 1;
  const templates = new Map<number, Template[][]>();
  for (const size of data.sizes) {
    const ofSize = data.classes.map((_, cls) =>
      Array.from({ length: colors }, (_, color) => templateOf(world.sprite(size, cls, color)))
    );
    templates.set(size, ofSize);
  }

  return (picture) => {
    const blocks = blocksOf(picture), ground = groundOf(picture);
    const foreground = foregroundOf(blocks, ground);
    const candidates: Candidate[] = [];
    for (const [size, ofSize] of templates) {
      const n = size / 4;
      for (let y = 0; y + size <= picture.height; y += 16) {
        for (let x = 0; x + size <= picture.width; x += 16) {
          const cover = countWithin(foreground, blocks.side, x / 4, y / 4, n);
          for (const [cls, ofClass] of ofSize.entries()) {
            const shape = ofClass[0];
            if (shape === undefined || cover < LIMITS.filled * shape.opaque) continue;
            if (!filled(foreground, blocks.side, x / 4, y / 4, shape)) continue;
            for (const [color, template] of ofClass.entries()) {
              const fit = compare(blocks, ground, template, x / 4, y / 4);
              if (fit === undefined) continue;
              candidates.push({ cls, color, size, x, y, error: fit, gain: template.opaque * (LIMITS.error - fit) });
            }
          }
        }
      }
    }
    return select(candidates, templates, foreground, blocks.side);
  };
}

function foregroundOf(blocks: Blocks, ground: readonly number[]): Uint8Array {
  const out = new Uint8Array(blocks.side * blocks.side);
  for (let i = 0; i < out.length; i++) {
    let most = 0;
    for (let c = 0; c < 3; c++) most = Math.max(most, Math.abs((blocks.rgb[i * 3 + c] ?? 0) - (ground[c] ?? 0)));
    out[i] = most > LIMITS.foreground ? 1 : 0;
  }
  return out;
}

function countWithin(mask: Uint8Array, side: number, left: number, top: number, n: number): number {
  let count = 0;
  for (let y = 0; y < n; y++) {
    const row = (top + y) * side + left;
    for (let x = 0; x < n; x++) count += mask[row + x] ?? 0;
  }
  return count;
}

/** Whether enough of the icon's own blocks are foreground. */
function filled(mask: Uint8Array, side: number, left: number, top: number, shape: Template): boolean {
  let count = 0;
  for (let y = 0; y < shape.side; y++) {
    for (let x = 0; x < shape.side; x++) {
      if ((shape.cover[y * shape.side + x] ?? 0) >= 0.5) count += mask[(top + y) * side + left + x] ?? 0;
    }
  }
  return count >= LIMITS.filled * shape.opaque;
}

/** Mean difference over the icon's blocks, or undefined when it is no such object. */
function compare(
  blocks: Blocks,
  ground: readonly number[],
  template: Template,
  left: number,
  top: number,
): number | undefined {
  const { side, rgb, cover, opaque } = template;
  let sum = 0, far = 0;
  const mostSum = LIMITS.error * opaque, mostFar = LIMITS.farShare * opaque;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = y * side + x;
      const alpha = cover[from] ?? 0;
      if (alpha < 0.25) continue;
      const to = ((top + y) * blocks.side + left + x) * 3;
      let worst = 0;
      for (let c = 0; c < 3; c++) {
        const wanted = (rgb[from * 3 + c] ?? 0) + (ground[c] ?? 0) * (1 - alpha);
        worst = Math.max(worst, Math.abs((blocks.rgb[to + c] ?? 0) - wanted));
      }
      sum += worst;
      if (worst > LIMITS.far) far++;
    }
    if (sum > mostSum || far > mostFar) return undefined;
  }
  return sum / opaque;
}

function select(
  candidates: Candidate[],
  templates: Map<number, Template[][]>,
  foreground: Uint8Array,
  side: number,
): Sight {
  candidates.sort((a, b) => b.gain - a.gain);
  const explained = new Uint8Array(foreground.length);
  const halo = new Uint8Array(foreground.length);
  const detections: Detection[] = [];
  for (const { gain: _, ...thing } of candidates) {
    const shape = templates.get(thing.size)?.[thing.cls]?.[0];
    if (shape === undefined) continue;
    const at = (x: number, y: number) => (thing.y / 4 + y) * side + thing.x / 4 + x;
    let taken = 0;
    each(shape, 0.5, (x, y) => taken += explained[at(x, y)] ?? 0);
    if (taken > LIMITS.overlap * shape.opaque) continue;
    detections.push(thing);
    each(shape, 0.5, (x, y) => explained[at(x, y)] = 1);
    // Soft edges spill over by a block.
    each(shape, 0.02, (x, y) => {
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const px = thing.x / 4 + x + dx, py = thing.y / 4 + y + dy;
          if (px >= 0 && py >= 0 && px < side && py < side) halo[py * side + px] = 1;
        }
      }
    });
  }
  let unexplained = 0;
  for (let i = 0; i < foreground.length; i++) if (foreground[i] === 1 && halo[i] === 0) unexplained++;
  return { detections, unexplained };
}

function each(shape: Template, cover: number, visit: (x: number, y: number) => void): void {
  for (let y = 0; y < shape.side; y++) {
    for (let x = 0; x < shape.side; x++) if ((shape.cover[y * shape.side + x] ?? 0) >= cover) visit(x, y);
  }
}
