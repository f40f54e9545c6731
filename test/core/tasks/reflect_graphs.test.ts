/**
 * A reflection over real graphs with random weights: pictures that were drawn are looked at, judged and seen by the next
 * drawing, and any state goes on exactly.
 */
import { afterAll, expect, test } from "vitest";
import { reflectKind } from "../../../core/runs/state/reflect_kind.ts";
import { openEngine } from "../../../core/engine/choose.ts";
import { createModel } from "../../../core/model/model.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { createReflect } from "../../../core/tasks/reflect.ts";
import type { ReflectState } from "../../../core/tasks/reflect_state.ts";
import { randomWeights, smallConfig, smallTokenizer } from "../model/small_model.ts";

const engine = await openEngine({ provider: "cpu", threads: 1 });
afterAll(() => engine.close());

test.each(["prefix", "full"] as const)("%s attention", async (attention) => {
  const config = smallConfig({
    prompt_attention: attention,
    max_sequence_length: 1024,
    tokenizer_model_max_length: 1024,
  });
  const model = await createModel({ config, weights: randomWeights(config), tokenizer: smallTokenizer(), engine });
  const task = createReflect(createDraw());
  const after = async (state: ReflectState, steps: number) => {
    const stepper = await task.open(state, model);
    const states = [state];
    for (let step = 0; step < steps; step++) {
      const delta = await stepper.step();
      if (delta === null) break;
      states.push(task.fold(states.at(-1) ?? state, delta));
    }
    stepper.close();
    return states;
  };
  try {
    const states = await after(task.start({ prompt: "a dog", seed: 3, steps: 2, rounds: 2, plan: false }, model), 1000);
    const { rounds } = await task.result(states.at(-1) as ReflectState, model);
    expect(rounds.map(({ feedback, accepted }) => [feedback, accepted])).toEqual([[[], false], [[1], false]]);
    expect(rounds[0]?.ids).not.toEqual(rounds[1]?.ids);
    const border = states.flatMap(({ open }, k) => (open?.phase === states[k - 1]?.open?.phase ? [] : [k]));
    // The borders of the phases, and the step behind each.
    for (const k of border.slice(0, -1).flatMap((k) => [k, k + 1])) {
      const state = reflectKind.decode(reflectKind.encode(states[k] as ReflectState));
      expect(await after(state, 1), `k = ${k}`).toStrictEqual(states.slice(k, k + 2));
    }
  } finally {
    await model.close();
  }
}, 120_000);
