/**
 * What an evaluation tells a reader: a table of kinds by split.
 *
 * @module
 */
import type { Share, Shares } from "../../bench/scenes/shares.ts";
import type { Output } from "../lib/command.ts";

const WIDTH = 14;

/** Of a kind that may not have come up. */
export function share(value: number | null | undefined): string {
  return value === undefined || value === null ? "-" : value.toFixed(3);
}

/** ` .93 (.91 to .95)` */
function cell({ score, interval: [low, high] }: Share): string {
  return `${share(score)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

export function printShares({ stderr }: Output, title: string, shares: Shares): void {
  const { seen, held_out: held } = shares;
  const line = (name: string, all: string, ofSeen: string, ofHeld: string) =>
    stderr(`${name.padEnd(WIDTH)} ${all.padStart(7)} ${ofSeen.padStart(7)} ${ofHeld.padStart(9)}\n`);
  line(title, "all", "seen", "held out");
  for (const [kind, all] of Object.entries(shares.kinds)) {
    line(kind, share(all), share(seen.kinds[kind]), share(held.kinds[kind]));
  }
  line("mean", share(shares.score), share(seen.score), share(held.score));
  stderr(`${"".padEnd(WIDTH)} ${cell(shares)} of ${shares.n}\n`);
}
