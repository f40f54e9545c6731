import { describe, expect, it } from "vitest";
import { createGenerator } from "../../../bench/scenes/generate.ts";
import { createJudge } from "../../../bench/scenes/judge.ts";
import { faultsOf, nearMiss } from "../../../bench/scenes/near_miss.ts";
import { KINDS, type Metadata } from "../../../bench/scenes/prompt.ts";
import { render } from "../../../bench/scenes/render.ts";
import { judgeSight } from "../../../bench/scenes/score.ts";
import { loadWorld, type Scene } from "../../../bench/scenes/world.ts";
import { decodePicture, encodePicture } from "../../../core/image/codec.ts";
import type { Picture } from "../../../core/model/types.ts";
import { distort, type Numbers, patch, sceneOf } from "./pictures.ts";

const world = await loadWorld();
const { see, judge } = createJudge(world);
const [CAR, DOG, BALL] = ["car", "dog", "sports ball"].map((name) =>
  world.data.classes.findIndex((candidate) => candidate.name === name)
) as [number, number, number];
const color = (name: string) => 1 + world.data.colors.findIndex((candidate) => candidate.name === name);

/** The verdict that is due when every object is seen as it is. */
function due(scene: Scene, metadata: Metadata) {
  const detections = scene.things.map((thing) => ({ ...thing, error: 0, ring: 0, flaws: 0 }));
  return judgeSight(world, { detections, unexplained: 0 }, metadata);
}

interface Case {
  readonly metadata: Metadata;
  readonly scene: Scene;
}

/** In equal parts of the six kinds, half of them held out. */
function cases(count: number, seed: number, make: "true" | "near miss"): Case[] {
  const generator = createGenerator(world, seed);
  return Array.from({ length: count }, (_, i) => {
    const metadata = generator.metadata(KINDS[i % 6] ?? "colors", i % 12 < 6 ? "seen" : "held_out");
    if (make === "true") return { metadata, scene: generator.scene(metadata) };
    return { metadata, scene: nearMiss(world, generator, metadata, generator.choose.pick(faultsOf(metadata))) };
  });
}

/** Share of verdicts that are as due, with the first few that are not. */
async function share(all: readonly Case[], show: (picture: Picture, index: number) => Picture | Promise<Picture>) {
  const wrong: string[] = [];
  for (const [i, { metadata, scene }] of all.entries()) {
    const expected = due(scene, metadata);
    const { correct, strict, reason } = judge(await show(render(world, scene), i), metadata);
    if (correct !== expected.correct || strict !== expected.strict) wrong.push(`${metadata.prompt}: ${reason}`);
  }
  if (wrong.length > 0) console.log(wrong.length, wrong.slice(0, 5));
  return 1 - wrong.length / all.length;
}

/** Corners of eight small objects, and of two large ones. */
const SMALL = [[0, 0], [128, 0], [64, 64], [192, 64], [0, 128], [128, 128], [64, 192], [192, 192]] as const;
const LARGE = [[0, 0], [128, 128]] as const;

/** Thousands of pictures at some 15 ms each, on a machine that may be busy. */
const MANY = { timeout: 900_000 };

describe("the judge is right", () => {
  it("on 2,000 true scenes", MANY, async () => {
    const all = cases(2000, 1, "true");
    expect(all.every(({ metadata, scene }) => due(scene, metadata).strict)).toBe(true);
    expect(await share(all, (picture) => picture)).toBeGreaterThanOrEqual(0.995);
  });

  it("on 2,000 near misses", MANY, async () => {
    const all = cases(2000, 2, "near miss");
    expect(all.some(({ metadata, scene }) => due(scene, metadata).strict)).toBe(false);
    expect(await share(all, (picture) => picture)).toBeGreaterThanOrEqual(0.995);
  });

  it("on blurred, off-colour, noisy ones", MANY, async () => {
    const all = [...cases(240, 3, "true"), ...cases(240, 4, "near miss")];
    expect(await share(all, distort)).toBeGreaterThanOrEqual(0.98);
  });

  it("on what JPEG leaves at quality 40", MANY, async () => {
    const all = [...cases(240, 5, "true"), ...cases(240, 6, "near miss")];
    const jpeg = async (picture: Picture) => await decodePicture(await encodePicture(picture, "jpeg", 40));
    expect(await share(all, jpeg)).toBeGreaterThanOrEqual(0.98);
  });
});

describe("what the judge sees", () => {
  const things = (picture: Picture) =>
    see(picture).detections.map(({ cls, color, size, x, y }) => [cls, color, size, x, y]).sort();
  const shown = (...all: readonly Numbers[]) => render(world, sceneOf(...all));
  const empty = shown();

  it("objects where they are, also off the scenes' own grid", () => {
    expect(things(shown([CAR, 0, 64, 16, 48], [DOG, color("blue"), 128, 112, 80]))).toEqual([
      [CAR, 0, 64, 16, 48],
      [DOG, color("blue"), 128, 112, 80],
    ]);
    expect(see(shown([CAR, 0, 64, 16, 48])).unexplained).toBe(0);
  });

  it("nothing in an empty picture, whatever its ground: also that of a white or a red object", MANY, () => {
    const plain = [
      ...world.data.grounds.map(({ rgb }) => rgb),
      ...world.data.colors.flatMap(({ base, light }) => [base, light]),
    ];
    for (const rgb of plain) {
      const picture = { ...empty, data: Uint8Array.from(empty.data, (_, i) => rgb[i % 3] ?? 0) };
      expect(see(picture)).toEqual({ detections: [], unexplained: 0 });
      expect(see(distort(picture, 1)).detections).toEqual([]);
    }
  });

  it("one object where two icons fit: a plain ball is nearly a plain stop sign", () => {
    expect(things(shown([BALL, color("red"), 64, 96, 96]))).toEqual([[BALL, color("red"), 64, 96, 96]]);
  });

  it("every icon in every colour on every ground, through distortion", MANY, () => {
    const kinds = world.data.classes.flatMap((_, cls) =>
      Array.from({ length: 11 }, (_, color) => [cls, color] as const)
    );
    const missed: string[] = [];
    for (const ground of world.data.grounds.keys()) {
      // Eight small ones to a picture, or two large ones, these on one ground each.
      for (const [size, each, places] of [[64, 8, SMALL], [128, 2, LARGE]] as const) {
        for (let at = 0; at < kinds.length; at += each) {
          if (size === 128 && (at / each) % 6 !== ground) continue;
          // Far apart in the list, so that no one colour covers the picture.
          const all = Array.from({ length: each }, (_, i) => kinds[(at + i * 167) % kinds.length] ?? [0, 0] as const);
          const scene = sceneOf(...all.map(([cls, color], i): Numbers => [cls, color, size, ...(places[i] ?? [0, 0])]));
          const found = things(distort(render(world, { ...scene, ground }), at)).map((thing) => thing.join());
          expect(found).toHaveLength(each);
          missed.push(
            ...scene.things.filter((thing) => !found.includes(Object.values(thing).join()))
              .map(({ cls, color, size }) =>
                `${world.data.classes[cls]?.name} ${color === 0 ? "own" : "tinted"} ${size}`
              ),
          );
        }
      }
    }
    // Small and in one plain colour, these two differ by their corners.
    expect(missed.filter((name) => name !== "stop sign tinted 64" && name !== "sports ball tinted 64")).toEqual([]);
    expect(missed.length).toBeLessThanOrEqual(12);
  });

  it.each([64, 128])("no half car of %i px, but fragments", (size) => {
    const half = patch(shown([CAR, 0, size, 64, 64]), empty, 64 + size / 2, 64, size / 2, size);
    expect(things(half)).toEqual([]);
    expect(see(half).unexplained).toBeGreaterThan(20);
  });

  it.each([["red", "blue"], ["red", "orange"], ["orange", "yellow"], ["purple", "pink"]])(
    "neither a %s nor a %s dog in a patchwork of the two",
    (one, other) => {
      const [a, b] = [shown([DOG, color(one), 64, 64, 64]), shown([DOG, color(other), 64, 64, 64])];
      expect(things(patch(a, b, 96, 64, 32, 64))).toEqual([]);
    },
  );

  it("no ball in the middle of a plain shape", () => {
    const { data } = shown([BALL, color("red"), 64, 96, 96]), middle = (128 * 256 + 120) * 3;
    const plain = { ...empty, data: Uint8Array.from(data, (_, i) => data[middle + i % 3] ?? 0) };
    expect(things(patch(empty, plain, 64, 64, 128, 128))).toEqual([]);
  });

  it("the fragment of a pink dog on pink", () => {
    const on = (...all: readonly Numbers[]) => render(world, { ...sceneOf(...all), ground: 5 });
    const half = patch(on([DOG, color("pink"), 64, 64, 64]), on(), 96, 64, 32, 64);
    expect(things(half)).toEqual([]);
    expect(see(half).unexplained).toBeGreaterThan(20);
  });

  it("a car and the fragment of another", () => {
    const two = shown([CAR, 0, 64, 0, 0], [CAR, 0, 64, 128, 128]);
    const broken = patch(two, empty, 128, 128, 32, 64);
    expect(things(broken)).toEqual([[CAR, 0, 64, 0, 0]]);
    expect(see(broken).unexplained).toBeGreaterThan(6);
  });

  it("the flaw of an object with one wrong token", () => {
    const [a, b] = [shown([DOG, color("red"), 64, 64, 64]), shown([DOG, color("blue"), 64, 64, 64])];
    const [found] = see(patch(a, b, 80, 96, 16, 16)).detections;
    expect(found).toMatchObject({ cls: DOG, color: color("red") });
    expect(found?.flaws).toBeGreaterThan(0.05);
    expect(see(a).detections[0]?.flaws).toBe(0);
  });

  it("refuses other sizes", () => {
    const small = { width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) };
    expect(() => see(small)).toThrow(expect.objectContaining({ code: "picture_size_unsupported" }));
  });
});
