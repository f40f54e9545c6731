/**
 * `deno task bench gpu`: the step loop on the GPU of this machine: seconds a step by part, pictures and tokens a second,
 * what crosses to the host, memory, and the shares of the GEMM rate and of the memory rate that were measured beside it;
 * then one block of each kind of the published architecture at 1024 px in fp16 and int4, and its whole step put together.
 *
 * @module
 */
import type { Command } from "../commands/lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "../commands/lib/flags.ts";
import { GpuCanvas } from "../core/diffusion/gpu_pick.ts";
import { openEngine } from "../core/engine/choose.ts";
import type { Gpu } from "../core/engine/gpu.ts";
import { difference, type GpuCounts, watchGpu } from "../core/engine/gpu_watch.ts";
import { pickCells } from "../core/model/cells.ts";
import { UnmaskError } from "../core/errors.ts";
import { DRAWING, openModel } from "../core/model/open_model.ts";
import type { Model, ResidentDrawing } from "../core/model/types.ts";
import { createDraw } from "../core/tasks/draw.ts";
import { parseDrawInput } from "../core/tasks/draw_input.ts";
import { drawSetup } from "../core/tasks/draw_setup.ts";
import { gemmRates, type GemmShape, gemmShapes } from "./lib/gemm.ts";
import { FORMATS, FULL_SHAPE, type LayerOptions, layerTimes } from "./lib/layer_times.ts";
import { copyRate, stepWork } from "./lib/gpu_work.ts";
import { checkPictures } from "./lib/pictures.ts";

const FLAGS = {
  pictures: { kind: "number", help: "after one that warms up (default: 3)" },
  steps: { kind: "number", help: "forward passes a picture (default: 16)" },
  software: { kind: "switch", help: "take a software adapter where there is no other" },
  model: { kind: "text", help: "the model's folder (default: models/scenes)" },
  scale: { kind: "number", help: "divide the published widths by 1, 2, 4, 8 or 16 (default: 1)" },
  ...COMMON_FLAGS,
} as const;

const PROMPT = "a photo of a red car and a blue dog";
const REPEATS = 3;
/** Of a step or a block that takes seconds; peaks, and what takes a moment, are the best of REPEATS there too. */
const SOFTWARE_REPEATS = 1;
const COPY_MEGABYTES = 32;
const SOFTWARE_PRODUCT: GemmShape = [1024, 1024, 1024];

export const gpuBench: Command = async (args, { output }) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    output.stderr(`${usage("bench gpu [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const { steps = 16 } = flags;
  const pictures = checkPictures(flags.pictures ?? 3);
  if (flags.scale !== undefined && ![1, 2, 4, 8, 16].includes(flags.scale)) throw scaleUnknown();
  const watch = watchGpu();
  const engine = await openEngine({ provider: "webgpu", ...(flags.software ? { allowSoftwareAdapter: true } : {}) });
  try {
    const model = await openModel({ folder: flags.model ?? "models/scenes", engine, parts: DRAWING });
    const { resident } = model;
    if (resident === undefined) throw new TypeError("the webgpu provider draws on the GPU");
    const draws = [];
    for (let seed = 0; seed <= pictures; seed++) draws.push(await drawOnce(model, seed, steps, watch.counts));
    const [warm, ...timed] = draws;
    if (warm === undefined) throw new TypeError("no picture was drawn");
    const { software } = engine.info;
    const repeats = software ? SOFTWARE_REPEATS : REPEATS;
    const parts = await partsOf(model, resident, steps, repeats);
    const memory = watch.counts().bufferBytes;
    const rates = {
      gemm: Math.max(...await gemmRates(engine, gemmShapes(model.config), REPEATS)),
      memory: await copyRate(resident.gpu, COPY_MEGABYTES, REPEATS),
    };
    const weights = model.loaded.find(({ graph }) => graph.startsWith("draw"))?.bytes ?? 0;
    const step = median(timed.flatMap((draw) => draw.steps));
    const seconds = median(timed.map((draw) => draw.seconds));
    const line = {
      device: engine.info.device,
      software,
      pictures,
      steps,
      repeats,
      first_picture_seconds: warm.seconds,
      picture_seconds: seconds,
      images_per_second: 1 / seconds,
      image_tokens_per_second: model.config.grid ** 2 / seconds,
      step_seconds: step,
      parts,
      per_step: perStep(timed.map((draw) => draw.counts), steps),
      pipelines_first_picture: warm.counts.pipelines,
      pipelines_later: timed.reduce((sum, draw) => sum + draw.counts.pipelines, 0),
      buffer_bytes: memory,
      gemm_rate: rates.gemm,
      gemm_share: parts.multiply_adds / parts.network / rates.gemm,
      memory_rate: rates.memory,
      memory_share: weights / parts.network / rates.memory,
    };
    await model.close();
    // What takes minutes more is not waited for.
    output.stderr(table(line));
    const { scale = 1 } = flags;
    // A CPU takes twice as long for two rows: without guidance it has half to do.
    const shape = software ? { ...FULL_SHAPE, rows: 1 } : FULL_SHAPE;
    if (software) {
      const all = "a software adapter: blocks of the published architecture run once, with one row";
      output.stderr(`${all} (no guidance, a guided step takes twice as long)${scale === 1 ? "; minutes each" : ""}\n`);
    }
    const options = {
      engine,
      gpu: resident.gpu,
      scale,
      shape,
      repeats,
      peakRepeats: REPEATS,
      wait: parts.wait,
      // A CPU's rate is the same for a product of a second as for one of a minute.
      ...(software ? { product: SOFTWARE_PRODUCT } : {}),
    };
    const times = await fullSize({ ...options, memoryRate: rates.memory, note: output.stderr });
    const published = { scale, ...shape, ...times };
    output.stderr(table({ published }));
    const report = { ...line, published };
    return report;
  } finally {
    await engine.close();
    watch.stop();
  }
};

async function fullSize(options: LayerOptions) {
  const [half, int4] = FORMATS;
  return { [half]: await layerTimes(options, half), [int4]: await layerTimes(options, int4) };
}

function scaleUnknown(): UnmaskError {
  return new UnmaskError({
    code: "flag_unknown_value",
    message: "--scale is 1, 2, 4, 8 or 16",
    fix: "leave it out for the published size",
    param: "scale",
  });
}

async function drawOnce(model: Model, seed: number, steps: number, counts: () => GpuCounts) {
  const task = createDraw();
  const [begin, before] = [performance.now(), counts()];
  let state = task.start(parseDrawInput({ prompt: PROMPT, seed, steps, guidance: 1 }), model);
  const stepper = await task.open(state, model);
  const times: number[] = [];
  for (;;) {
    const start = performance.now();
    const delta = await stepper.step();
    if (delta === null) break;
    times.push((performance.now() - start) / 1000);
    state = task.fold(state, delta);
  }
  stepper.close();
  const loop = difference(before, counts());
  await task.result(state, model);
  return { seconds: (performance.now() - begin) / 1000, steps: times.slice(1), counts: loop };
}

/** Seconds of a step's parts, each alone: the mean of several that are submitted together and waited for once. */
async function partsOf(model: Model, { gpu, draw }: ResidentDrawing, steps: number, repeats: number) {
  const { config } = model;
  const count = config.grid ** 2;
  const picks = Math.max(1, Math.round(count / steps));
  const positions = Uint32Array.from({ length: picks }, (_, i) => Math.floor(i * count / picks));
  const { rows, suffix } = drawSetup({ prompt: PROMPT }, model);
  const cache = await model.prompt(rows, suffix);
  const ids = new Uint16Array(count).fill(config.vqMaskId);
  const canvas = await GpuCanvas.open(gpu, ids, new Uint16Array(count), { vocabulary: config.vqCodes, seed: 1 });
  const wait = await secondsOf(REPEATS, () => waitFor(gpu, canvas));
  const network = await secondsOf(repeats, async () => {
    for (let i = 0; i < repeats; i++) (await draw(cache, canvas.ids, positions)).release();
    await waitFor(gpu, canvas);
  });
  const logits = await draw(cache, canvas.ids, positions);
  await waitFor(gpu, canvas);
  const plan = { step: 1, positions, count: picks, guidance: 1, filter: { topK: 0, topP: 1 }, temperature: 1 };
  const pick = await secondsOf(REPEATS, () => canvas.pick(logits.rows, plan));
  const onGpu = await gpuSeconds(gpu, async (mark) => {
    await mark();
    (await draw(cache, canvas.ids, positions)).release();
    await mark();
    await canvas.pick(logits.rows, plan);
    await mark();
  });
  logits.release();
  canvas.release();
  cache.release();
  const cells = count / 4;
  const chosen = pickCells(positions, { width: config.grid, height: config.grid }).cells.length;
  const shape = { rows: rows.length, prompt: rows[0].length, cells, chosen, picks };
  return {
    network: Math.max((network - wait) / repeats, 1e-9),
    pick: Math.max(pick - wait, 0),
    wait,
    /** By its own clock: null without timestamp queries. */
    gpu_network: onGpu?.[0] ?? null,
    gpu_pick: onGpu?.[1] ?? null,
    multiply_adds: stepWork(config, shape),
  };
}

async function gpuSeconds(gpu: Gpu, work: (mark: () => Promise<void>) => Promise<void>): Promise<number[] | undefined> {
  const clock = await gpu.clock();
  if (clock === undefined) return undefined;
  try {
    await work(() => clock.mark());
    return await clock.read();
  } finally {
    clock.release();
  }
}

async function waitFor(gpu: Gpu, canvas: GpuCanvas): Promise<void> {
  await gpu.run({ dispatches: [], read: { tensor: canvas.ids, words: 1 } });
}

async function secondsOf(repeats: number, work: () => Promise<unknown>): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await work();
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  return best;
}

function perStep(counts: readonly GpuCounts[], steps: number) {
  const mean = (name: keyof GpuCounts) => counts.reduce((sum, each) => sum + each[name], 0) / counts.length / steps;
  return {
    reads: mean("reads"),
    read_bytes: mean("readBytes"),
    written_bytes: mean("writeBytes"),
    dispatches: mean("dispatches"),
    submissions: mean("submissions"),
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

type Line = Readonly<Record<string, unknown>>;

/** Figures by name, those of a part behind its name. */
function table(line: Line, before = ""): string {
  return Object.entries(line).map(([name, value]) => {
    if (typeof value === "object" && value !== null) return table(value as Line, `${before}${name}.`);
    const text = typeof value === "number" ? Number(value.toPrecision(4)).toString() : String(value);
    return `${(before + name).padEnd(48)}${text}\n`;
  }).join("");
}
