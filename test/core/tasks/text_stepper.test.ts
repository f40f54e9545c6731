/** Decoding over a table of numbers: resumption, early stop, what the network is asked. */
import { describe, expect, test } from "vitest";
import type { TextCache, TextInput, Understanding } from "../../../core/model/types.ts";
import {
  foldText,
  startText,
  textDone,
  textIds,
  type TextSettings,
  TextStepper,
} from "../../../core/tasks/text_stepper.ts";

const MASK = 9;
const VOCABULARY = 12;
const END = 3;

interface Asked {
  readonly cached: number | undefined;
  readonly ids: readonly number[];
  readonly places: readonly number[];
}

/** Logits that depend on everything that was said; `end`: the place of the answer that says END. */
function table(end?: number) {
  const asked: Asked[] = [];
  let open = 0;
  const understanding: Understanding = {
    look: () => Promise.reject(new Error("not asked for")),
    locations: () => Promise.reject(new Error("not asked for")),
    read({ ids }: TextInput): Promise<TextCache> {
      open++;
      return Promise.resolve({ length: ids.length, bytes: 1000, release: () => void open-- });
    },
    words(cache, { ids }, places) {
      asked.push({ cached: cache?.length, ids: [...ids], places: [...places] });
      const prompt = cache === undefined ? 2 : 0;
      const sum = ids.slice(prompt).reduce((a, b, i) => (a * 31 + b * (i + 1)) % 1009, 7);
      return Promise.resolve(Float32Array.from({ length: places.length * VOCABULARY }, (_, i) => {
        const place = (places[Math.floor(i / VOCABULARY)] ?? 0) - prompt;
        const id = i % VOCABULARY;
        if (id === MASK || (id === END && place !== end)) return -Infinity;
        return place === end && id === END ? 9 : Math.sin(sum + place * 13 + id * 7) * 3;
      }));
    },
    close: () => Promise.resolve(),
  };
  return { understanding, asked, open: () => open };
}

const settings: TextSettings = {
  length: 8,
  block: 4,
  stepsPerBlock: 2,
  temperature: 0.7,
  confidence: "probability",
  seed: 5,
  ends: [],
  prefixCache: true,
};
const prompt: TextInput = { ids: Int32Array.of(1, 2) };

async function decode(chosen: TextSettings, from = startText(chosen, MASK), end?: number, most = Infinity) {
  const { understanding, asked, open } = table(end);
  const stepper = new TextStepper(from, understanding, { prompt });
  let state = from;
  for (let i = 0; i < most; i++) {
    const delta = await stepper.step();
    if (delta === null) break;
    state = foldText(state, delta);
  }
  stepper.close();
  return { state, asked, open: open() };
}

test("every token is revealed, block by block, and only masked places of the block are asked for", async () => {
  const { state, asked, open } = await decode(settings);
  expect(textDone(state)).toBe(true);
  expect([...state.sequence.ids]).not.toContain(MASK);
  expect([...state.sequence.revealedAt].map((step) => step <= 2)).toEqual([
    ...Array(4).fill(true),
    ...Array(4).fill(false),
  ]);
  expect(asked.map(({ places }) => places.length)).toEqual([4, 2, 4, 2]);
  expect(asked.map(({ ids }) => ids.length)).toEqual([8, 8, 8, 8]);
  expect(asked.every(({ cached }) => cached === 2)).toBe(true);
  expect(open).toBe(0);
});

test("from any step on, the rest is the same", async () => {
  const whole = await decode(settings);
  for (const most of [1, 2, 3]) {
    const part = await decode(settings, undefined, undefined, most);
    expect(part.state.step).toBe(most);
    const rest = await decode(settings, part.state);
    expect(rest.state.sequence).toEqual(whole.state.sequence);
  }
});

test("without a cache the whole sequence is asked, at places behind the prompt", async () => {
  const { asked } = await decode({ ...settings, prefixCache: false });
  expect(asked[0]).toMatchObject({ cached: undefined, places: [2, 3, 4, 5] });
  expect(asked[0]?.ids.slice(0, 2)).toEqual([1, 2]);
});

describe("early stop", () => {
  test("an end token with nothing masked to its left ends it, and what is right of it is not the answer", async () => {
    const { state, asked } = await decode({ ...settings, ends: [END] }, undefined, 2);
    expect(asked.length).toBe(2); // the first block alone
    expect(textIds(state).length).toBe(2);
    expect([...textIds(state)]).toEqual([...state.sequence.ids].slice(0, 2));
  });

  test("off by default: all blocks are decoded", async () => {
    const { state, asked } = await decode(settings, undefined, 2);
    expect(asked.length).toBe(4);
    expect(textIds(state).length).toBe(8);
  });
});

test("a delta of another step is refused", () => {
  const state = startText(settings, MASK);
  expect(() => foldText(state, { step: 2, positions: new Uint32Array(), ids: new Uint32Array() })).toThrow(/step 2/);
});
