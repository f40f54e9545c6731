/**
 * One guided step at full size: logits of both rows at the last step's positions, guided and sampled, then the picture.
 *
 * @module
 */
import { philoxDraws } from "../../core/diffusion/draws.ts";
import { guide } from "../../core/diffusion/guidance.ts";
import { drawBlock, sample } from "../../core/diffusion/sampling.ts";
import { counts } from "../../core/diffusion/schedule.ts";
import { UnmaskError } from "../../core/errors.ts";
import type { ModelConfig } from "../../core/model/config.ts";
import { TextEmbedding } from "../../core/model/embedding.ts";
import { memory } from "./memory.ts";
import { referenceLogits } from "./reference.ts";
import { errorOf, someIds, type Stage, stage, type StageOptions, type Work } from "./stage.ts";
import { StoredWeights } from "./stored_weights.ts";
import type { RunFigures } from "./table.ts";

/** 120 text tokens: what stands before the picture, and the quirky header behind it. */
const PREFIX = 113;
const SUFFIX = 7;
const STEPS = 64;
const GUIDANCE = 4;
/** Largest error of the spot check, as a share of the largest logit; fp32 against fp64 through all layers. */
const TOLERANCE = 1e-3;

export function runDraw(options: StageOptions): Promise<RunFigures> {
  return stage("draw", options, async ({ model, stored }) => {
    const { config } = model;
    const prefix = Int32Array.from(someIds(PREFIX, config.embeddingSize, 1));
    const masked = prefix.map(() => config.maskTokenId);
    const suffix = Int32Array.from(someIds(SUFFIX, config.embeddingSize, 2));
    const side = options.side / config.vq.factor;
    const ids = Uint16Array.from(someIds(side * side, config.vqCodes, 3));
    // The last step reveals the most.
    const positions = Uint32Array.from({ length: counts(ids.length, STEPS, "shift", 5).at(-1) ?? 0 }, (_, i) => 3 * i);
    for (const position of positions) ids[position] = config.vqMaskId;

    const start = performance.now();
    const cache = await model.prompt([prefix, masked], suffix);
    const [conditional, unconditional] = await model.draw(cache, ids, positions, side);
    if (conditional === undefined || unconditional === undefined) throw new RangeError("two rows were asked for");
    const logits = new Float32Array(config.vqCodes);
    const [draws, block] = [philoxDraws(1), drawBlock()];
    for (const [index, position] of positions.entries()) {
      guide(conditional, unconditional, index * logits.length, logits.length, GUIDANCE, logits);
      ids[position] = sample(logits, 1, draws, STEPS, position, block);
    }
    cache.release();
    const stepped = performance.now();
    options.note(`step ${((stepped - start) / 1000).toFixed(1)} s, ${await peakSoFar()}\n`);
    await model.decode(ids, side);
    const decoded = performance.now();
    options.note(`decode ${((decoded - stepped) / 1000).toFixed(1)} s, ${await peakSoFar()}\n`);
    const seconds = { step: (stepped - start) / 1000, decode: (decoded - stepped) / 1000 };
    return { seconds, check: await spotCheck({ model, stored }, config, options) };
  });
}

async function peakSoFar(): Promise<string> {
  const peak = (await memory())?.peak;
  return peak === undefined ? "peak unknown" : `peak so far ${(peak / 2 ** 30).toFixed(2)} GiB`;
}

/** The same loaded graph on a few tokens, against fp64 over the stored numbers. */
async function spotCheck(
  { model, stored }: Stage,
  config: ModelConfig,
  { folder }: StageOptions,
): Promise<Work["check"]> {
  const start = performance.now();
  const width = 4;
  const prefix = Int32Array.from(someIds(5, config.embeddingSize, 4));
  const suffix = Int32Array.from(someIds(2, config.embeddingSize, 5));
  const ids = Uint16Array.from(someIds(16, config.vqCodes, 6), (id, i) => i % 3 === 0 ? config.vqMaskId : id);
  const positions = Uint32Array.of(0, 9, 15);
  const cache = await model.prompt([prefix], suffix);
  const [found = new Float32Array()] = await model.draw(cache, ids, positions, width);
  cache.release();
  const embedding = new TextEmbedding(config, stored.weights);
  const vectors = async (tokens: Int32Array) => {
    const { data } = await embedding.lookUp([tokens]);
    return Array.from(
      tokens,
      (_, i) => Float64Array.from((data as Float32Array).subarray(i * config.dModel, (i + 1) * config.dModel)),
    );
  };
  const wanted = await referenceLogits(config, await StoredWeights.open(folder, "draw_full"), {
    prefix: await vectors(prefix),
    suffix: await vectors(suffix),
    ids,
    width,
    positions,
  });
  const error = errorOf(found, wanted);
  if (!(error <= TOLERANCE)) {
    throw new UnmaskError({
      code: "spot_check_failed",
      message: `the graph's logits are ${error} of their range off fp64 arithmetic, at most ${TOLERANCE} was expected`,
      fix: "report it with this machine's CPU",
      status: 500,
    });
  }
  const examples = [0, 1, 2].map((i) => {
    const at = i * config.vqCodes + 7;
    return { found: found[at] ?? NaN, wanted: wanted[at] ?? NaN };
  });
  return { compared: wanted.length, error, examples, seconds: (performance.now() - start) / 1000 };
}
