/**
 * GenEval's rule for positions: offsets of the boxes' centres, shortened by a tenth of the summed sizes.
 *
 * @module
 */
interface Box {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

/** Where `a` is, seen from `b`; several or no relations may hold. */
export function relations(a: Box, b: Box): string[] {
  const dx = a.x + a.size / 2 - (b.x + b.size / 2);
  const dy = a.y + a.size / 2 - (b.y + b.size / 2);
  const slack = 0.1 * (a.size + b.size);
  const shorten = (d: number) => Math.max(Math.abs(d) - slack, 0) * Math.sign(d);
  const rx = shorten(dx), ry = shorten(dy);
  const norm = Math.hypot(dx, dy);
  if (rx === 0 && ry === 0) return [];
  const found: string[] = [];
  if (rx / norm < -0.5) found.push("left of");
  if (rx / norm > 0.5) found.push("right of");
  if (ry / norm < -0.5) found.push("above");
  if (ry / norm > 0.5) found.push("below");
  return found;
}
