import { describe, expect, it } from "vitest";
import { groundOf, levelsOfPicture, levelsOfSprite } from "../../../bench/scenes/blocks.ts";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";
import { sceneOf } from "./pictures.ts";

const world = await loadWorld();

describe("the ground of a picture", () => {
  it("is found on a clean scene, soft edges aside", () => {
    for (const [ground, { rgb }] of world.data.grounds.entries()) {
      const found = groundOf(render(world, { ...sceneOf([3, 4, 128, 0, 0], [7, 0, 64, 192, 128]), ground }));
      for (const [c, value] of rgb.entries()) expect(found[c]).toBeCloseTo(value, 0);
    }
  });

  it("is its mean when noise spreads it over several bins", () => {
    const { data, ...size } = render(world, sceneOf([3, 4, 128, 0, 0]));
    const noisy = { ...size, data: data.map((value, i) => value + (i * 7919) % 9 - 4) };
    const [want, got] = [world.data.grounds[0]?.rgb ?? [], groundOf(noisy)];
    for (const [c, value] of want.entries()) expect(Math.abs((got[c] ?? 0) - value)).toBeLessThan(1.5);
  });
});

describe("blocks and tokens", () => {
  const picture = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3) };
  const lit = { ...picture, data: picture.data.slice() };
  // One white block, 4x4 px, at block (8, 4): token (2, 1).
  for (let y = 16; y < 20; y++) lit.data.fill(255, (y * 256 + 32) * 3, (y * 256 + 36) * 3);
  const { blocks, tokens } = levelsOfPicture(lit);
  const at = (x: number, y: number) => blocks.rgb[(y * 64 + x) * 3];

  it("are smoothed by 1 2 1 along both axes", () => {
    expect([at(8, 4), at(9, 4), at(8, 3), at(7, 5), at(10, 4)]).toEqual([255 / 4, 255 / 8, 255 / 8, 255 / 16, 0]);
  });

  it("are plain means over 16 px", () => {
    expect([...tokens.rgb].flatMap((value, i) => value === 0 ? [] : [[i, value]])).toEqual(
      [0, 1, 2].map((c) => [(1 * 16 + 2) * 3 + c, 255 / 16]),
    );
  });

  it("of a sprite are premultiplied", () => {
    const data = new Uint8Array(64 * 64 * 4).fill(200);
    data.fill(0, 64 * 64 * 2);
    const { tokens: { rgb, cover } } = levelsOfSprite({ size: 64, data });
    expect(cover[0]).toBeCloseTo(200 / 255, 5);
    expect(rgb[0]).toBeCloseTo(200 * 200 / 255, 3);
    expect([cover[15], rgb[45]]).toEqual([0, 0]);
  });
});
