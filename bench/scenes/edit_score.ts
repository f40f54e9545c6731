/**
 * The judge of edits: the asked change is there, and nothing else changed.
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";
import { groundOf } from "./blocks.ts";
import type { Detection, Sight } from "./detect.ts";
import type { EditCase } from "./edits.ts";
import { phraseOf } from "./language.ts";
import { STRICT } from "./score.ts";
import type { Thing, World } from "./world.ts";

export interface EditVerdict {
  readonly success: boolean;
  /** What the instruction asks for is there. */
  readonly asked: boolean;
  /** Everything else is as it was, and nothing came in addition. */
  readonly kept: boolean;
  /** Empty for a success; else what is wrong first. */
  readonly reason: string;
}

/** How far a channel of the ground may be from its world's colour, which keeps the six apart (0..255). */
const GROUND_OFF = 14;

/** @param see the eyes of `createJudge` */
export function judgeEdit(
  world: World,
  see: (picture: Picture) => Sight,
  picture: Picture,
  edit: Pick<EditCase, "source" | "target" | "wanted">,
): EditVerdict {
  const { detections, unexplained } = see(picture);
  const name = (thing: Thing) => phraseOf(world.data, thing);
  const missing: string[] = [], broken: string[] = [];
  const isGround = isGroundOf(world, picture, edit.target.ground);
  const newGround = edit.source.ground !== edit.target.ground;
  if (!isGround) (newGround ? missing : broken).push("the ground is another one");

  // Things that stay have one place each, so what fits them is not wanted elsewhere.
  const left = new Set<Detection>(detections);
  for (const { fits, changed } of edit.wanted.toSorted((a, b) => Number(a.changed) - Number(b.changed))) {
    const found = [...left].find(fits);
    if (found === undefined) (changed ? missing : broken).push(changed ? "the change is missing" : "a thing is lost");
    else left.delete(found);
  }
  for (const seen of left) {
    // What should have gone or changed, and did not, is no other damage.
    const old = edit.source.things.some((thing) => isSame(thing, seen));
    (old ? missing : broken).push(`there is a ${name(seen)} left over`);
  }
  const flawed = detections.find(({ flaws }) => flaws > STRICT.flaws);
  if (flawed !== undefined) broken.push(`the ${name(flawed)} has flaws`);
  if (unexplained > STRICT.strayBlocks) broken.push(`there are ${unexplained * 16} px of fragments`);
  const asked = missing.length === 0, kept = broken.length === 0;
  return { success: asked && kept, asked, kept, reason: missing[0] ?? broken[0] ?? "" };
}

function isSame(a: Thing, b: Thing): boolean {
  return a.cls === b.cls && a.color === b.color && a.size === b.size && a.x === b.x && a.y === b.y;
}

/** Nearest to that ground of all, and near. */
function isGroundOf({ data: { grounds } }: World, picture: Picture, ground: number): boolean {
  const seen = groundOf(picture);
  const off = grounds.map(({ rgb }) => Math.max(...rgb.map((value, i) => Math.abs(value - (seen[i] ?? 0)))));
  return off[ground] === Math.min(...off) && (off[ground] ?? Infinity) <= GROUND_OFF;
}
