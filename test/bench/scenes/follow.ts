/** Whether one scene follows another by an instruction, read from its words alone; apart from the generator. */
import { relations } from "../../../bench/scenes/relations.ts";
import type { Scene, Thing, World } from "../../../bench/scenes/world.ts";

/** @returns what is wrong; empty: it follows */
export function follow({ data }: World, source: Scene, instruction: string, target: Scene): string {
  const name = ({ cls }: Thing) => data.classes[cls]?.name ?? "?";
  const color = ({ color }: Thing) => color === 0 ? "" : data.colors[color - 1]?.name ?? "?";
  const words = (thing: Thing) => `${color(thing)} ${name(thing)}`.trim();
  const asks = instruction.split(/ and (?=add |remove |delete |replace |make |change |move )/);
  let ground = source.ground;
  const before = new Map(source.things.map((thing) => [name(thing), thing]));
  const after = new Map(target.things.map((thing) => [name(thing), thing]));
  const problems: string[] = [];
  const expect = (holds: boolean, what: string) => void (holds || problems.push(what));
  const take = (what: string) => {
    const pair = [before.get(what), after.get(what)] as const;
    before.delete(what);
    after.delete(what);
    return pair;
  };
  for (const ask of asks) {
    const parts = (pattern: RegExp) => pattern.exec(ask)?.slice(1) ?? [];
    const [added, relation, beside] = parts(/^add an? (.+?)(?: (left of|right of|above|below) the (.+))?$/);
    const [removed] = parts(/^(?:remove|delete) the (.+)$/);
    const [replaced, by] = parts(/^replace the (.+) with an? (.+)$/);
    const [moved, side] = parts(/^move the (.+) to the (left|right|top|bottom)$/);
    const [floor] = [...parts(/^make the ground (.+)$/), ...parts(/^set the background to (.+)$/)];
    const [sized, size] = parts(/^make the (.+) (larger|smaller)$/);
    const tinted = parts(/^change the color of the (.+) to (\w+)$/);
    const [tinting, tint] = tinted.length > 0 ? tinted : parts(/^make the (.+) (\w+)$/);
    if (added !== undefined) {
      const thing = [...after.values()].find((own) => words(own) === added);
      expect(thing !== undefined && !before.has(name(thing)), `${added} is not new`);
      if (thing !== undefined) take(name(thing));
      const other = source.things.find((own) => name(own) === beside);
      if (relation !== undefined && thing !== undefined && other !== undefined) {
        expect(relations(thing, other).includes(relation), `${added} is not ${relation}`);
      }
    } else if (removed !== undefined) {
      const [was, is] = take(removed);
      expect(was !== undefined && is === undefined, `${removed} is there`);
    } else if (replaced !== undefined) {
      const [was] = take(replaced), thing = [...after.values()].find((own) => words(own) === by);
      if (thing !== undefined) take(name(thing));
      expect(
        was !== undefined && thing !== undefined && was.x === thing.x && was.size === thing.size,
        `no ${by} there`,
      );
    } else if (floor !== undefined) {
      ground = data.grounds.findIndex((own) => own.name === floor);
    } else if (moved !== undefined) {
      const [was, is] = take(moved);
      const at = is === undefined ? 0 : (side === "left" || side === "right" ? is.x : is.y) + is.size / 2;
      const low = side === "left" || side === "top";
      expect(is !== undefined && words(is) === (was && words(was)) && is.size === was?.size, `${moved} changed`);
      expect(low ? at < data.canvas / 3 : at > 2 * data.canvas / 3, `${moved} is not ${side}`);
    } else if (sized !== undefined) {
      const [was, is] = take(sized);
      expect(was !== undefined && is !== undefined && words(is) === words(was), `${sized} changed`);
      expect(was?.size === (size === "larger" ? 64 : 128) && is?.size === 192 - (was?.size ?? 0), `${sized}: size`);
    } else if (tinting !== undefined) {
      const [was, is] = take(tinting);
      expect(is !== undefined && color(is) === tint && was !== undefined && color(was) !== tint, `${tinting}: colour`);
      expect(is?.x === was?.x && is?.y === was?.y && is?.size === was?.size, `${tinting} moved`);
    } else problems.push(`what is "${ask}"`);
  }
  expect(target.ground === ground, "the ground");
  expect(JSON.stringify([...before.values()]) === JSON.stringify([...after.values()]), "others changed");
  return problems.join("; ");
}
