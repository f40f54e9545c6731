/**
 * `deno task bench draw`: pictures a second of the runtime and of two PyTorch loops, in turn, on the same weights,
 * threads, prompts, seeds and random numbers, with equal ids checked; where the time goes; and the server's start and
 * memory.
 *
 * @module
 */
import { type Command, type CommandContext } from "../commands/lib/command.ts";
import { COMMON_FLAGS, type FlagValues, parseFlags, usage } from "../commands/lib/flags.ts";
import { openCpu } from "../core/engine/cpu.ts";
import { checkThreads, defaultThreads } from "../core/engine/threads.ts";
import { UnmaskError } from "../core/errors.ts";
import { openModel } from "../core/model/open_model.ts";
import type { DrawTask } from "../core/tasks/draw.ts";
import { parseDrawInput } from "../core/tasks/draw_input.ts";
import { type Loaded, loadModel } from "../core/tasks/thread_handlers.ts";
import { type SideFigures, sideFigures, sidesTable, speedUp, spreadText, type Timing } from "./lib/draw_report.ts";
import { FIRST_PICTURE_BUDGET, MEMORY_BUDGET, profileLines, serverLine } from "./lib/draw_report.ts";
import { gemmRates, gemmShapes } from "./lib/gemm.ts";
import { checkPictures } from "./lib/pictures.ts";
import { type GraphProfile, readProfile } from "./lib/profile.ts";
import { type Drawn, drawOnce } from "./lib/runtime.ts";
import { measureServer, type ServerMeasure } from "./lib/server.ts";
import { type Agreement, agreement, type TorchLoop, TorchSides } from "./lib/torch_sides.ts";

const FLAGS = {
  pictures: { kind: "number", help: "rounds; each side draws one picture in each (default: 6)" },
  steps: { kind: "number", help: "forward passes a picture (default: the model's own)" },
  threads: { kind: "number", help: "of every side (default: one a physical core)" },
  model: { kind: "text", help: "the model's folder (default: models/scenes)" },
  python: { kind: "text", help: "a Python with torch, numpy, safetensors (default: UNMASK_PYTHON, else python3)" },
  "no-torch": { kind: "switch", help: "measure the runtime alone" },
  "no-compile": { kind: "switch", help: "leave torch.compile out; it takes a minute and a C++ compiler" },
  "no-server": { kind: "switch", help: "leave out the server's start and memory" },
  ...COMMON_FLAGS,
} as const;

/** One of each of GenEval's kinds; pictures beyond six begin again with other seeds. */
const PROMPTS = [
  "a photo of a zebra",
  "a photo of a pizza and a train",
  "a photo of three dogs",
  "a photo of a red car",
  "a photo of a dog above a car",
  "a photo of a red car and a blue dog",
];
const GEMM_REPEATS = 40;

interface Setup {
  readonly folder: string;
  readonly threads: number;
  readonly pictures: number;
  readonly steps: number | undefined;
}

export const drawBench: Command = async (args, context) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    context.output.stderr(`${usage("bench draw [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const setup = await setUp(flags);
  const server = flags["no-server"] ? undefined : await measureServer({
    prompts: PROMPTS,
    threads: flags.threads,
    model: flags.model,
  });
  const torch = flags["no-torch"] ? undefined : await openTorch(flags, setup);
  try {
    const line = await measure(setup, torch instanceof TorchSides ? torch : undefined, server, context);
    if (torch instanceof UnmaskError) {
      context.announce({ ...line, not_run: ["published", "good", "compiled"], reason: torch.message });
      throw torch;
    }
    context.announce(line);
    refuseDifferences(line.agreement);
    return line;
  } finally {
    if (torch instanceof TorchSides) await torch.close();
  }
};

async function setUp(flags: FlagValues<typeof FLAGS>): Promise<Setup> {
  const pictures = checkPictures(flags.pictures ?? PROMPTS.length);
  const threads = checkThreads(flags.threads ?? (await defaultThreads()).threads);
  return { folder: flags.model ?? "models/scenes", threads, pictures, steps: flags.steps };
}

/** The sides, or why they cannot run: the runtime is measured all the same. */
async function openTorch(
  flags: FlagValues<typeof FLAGS>,
  { folder, threads }: Setup,
): Promise<TorchSides | UnmaskError> {
  const python = flags.python ?? Deno.env.get("UNMASK_PYTHON") ?? "python3";
  try {
    return await TorchSides.open({ python, folder, threads, compiled: !flags["no-compile"] });
  } catch (error) {
    if (error instanceof UnmaskError && ["python_missing", "torch_missing"].includes(error.code)) return error;
    throw error;
  }
}

async function measure(
  setup: Setup,
  torch: TorchSides | undefined,
  server: ServerMeasure | undefined,
  context: CommandContext,
) {
  const { output } = context;
  const loaded = await loadModel({ modelFolder: setup.folder, provider: "cpu", threads: setup.threads });
  const { device, runtime } = loaded.info;
  output.stderr(`${device}, ${navigator.hardwareConcurrency} logical CPUs, ${setup.threads} threads a side\n`);
  output.stderr(`${[runtime, torch?.version, `${setup.pictures} pictures`].filter(Boolean).join(", ")}\n`);
  const { ours, theirs, agreements, last } = await rounds(setup, loaded, torch, context);
  const rates = await bestRates(loaded, torch);
  await loaded.model.close();
  await loaded.engine.close();
  const profiles = await profile(setup, loaded.draw);
  const sides: Record<string, SideFigures> = { runtime: sideFigures(ours, work(profiles, last), rates.runtime) };
  for (const [loop, timings] of theirs) {
    sides[loop] = sideFigures(timings, await torch?.multiplyAdds(loop, last) ?? 0, rates.torch);
  }
  const speed = Object.fromEntries([...theirs].map(([loop, timings]) => [loop, speedUp(timings, ours)]));
  output.stderr(`\n${sidesTable(sides)}\n\n`);
  for (const [loop, { wall, cpu }] of Object.entries(speed)) {
    output.stderr(`the runtime is ${spreadText(wall)} as fast as ${loop}; by CPU time ${spreadText(cpu)}\n`);
  }
  for (const [loop, { compared, different, excused, pixelDifference }] of Object.entries(agreements)) {
    output.stderr(`ids against ${loop}: ${compared} compared, ${different} different (${excused} by rounding); `);
    output.stderr(`bytes of the pictures at most ${pixelDifference ?? "?"} apart\n`);
  }
  output.stderr(`\n${profileLines(profiles)}\n`);
  if (server !== undefined) output.stderr(`${serverLine(server)}\n`);
  return {
    device,
    cpus: navigator.hardwareConcurrency,
    threads: setup.threads,
    runtime,
    torch: torch?.version ?? null,
    pictures: setup.pictures,
    steps: last.recipe.counts.length,
    guidance: last.recipe.guidance,
    sides,
    speed,
    targets: { published: 4, good: 1 },
    agreement: agreements,
    graphs: profiles,
    server: server === undefined ? null : {
      ready_seconds: server.readySeconds,
      first_picture_seconds: server.firstPictureSeconds,
      first_picture_budget: FIRST_PICTURE_BUDGET,
      peak_memory: server.peakMemory ?? null,
      peak_memory_budget: MEMORY_BUDGET,
    },
  };
}

function inputOf(setup: Setup, round: number) {
  const prompt = PROMPTS[round % PROMPTS.length];
  return parseDrawInput({ prompt, seed: round, ...(setup.steps === undefined ? {} : { steps: setup.steps }) });
}

/** All sides in turn, round by round, so that a change of the machine meets them all. Each warms up before. */
async function rounds(
  setup: Setup,
  { model, draw }: Loaded,
  torch: TorchSides | undefined,
  { output, signal }: CommandContext,
) {
  const ours: Timing[] = [];
  const theirs = new Map<TorchLoop, Timing[]>((torch?.loops ?? []).map((loop) => [loop, []]));
  const agreements: Record<string, Agreement> = {};
  let last: Drawn | undefined;
  // Three prompts of different lengths: torch.compile then has its graphs for any length.
  const warmUp = Math.min(3, PROMPTS.length);
  for (let round = -warmUp; round < setup.pictures; round++) {
    signal.throwIfAborted();
    output.stderr(
      round < 0 ? `warming up ${round + warmUp + 1}/${warmUp}\n` : `round ${round + 1}/${setup.pictures}\n`,
    );
    const drawn = last = await drawOnce(draw, model, inputOf(setup, round < 0 ? round + warmUp : round));
    if (round >= 0) ours.push(drawn);
    for (const [loop, timings] of theirs) {
      const other = await torch?.draw(loop, drawn);
      if (other === undefined || round < 0) continue;
      timings.push({ seconds: other.seconds, cpuSeconds: other.cpu_seconds, parts: other.parts });
      agreements[loop] = merged(agreements[loop], agreement(drawn, other));
    }
  }
  if (last === undefined) throw new RangeError("no picture was drawn");
  return { ours, theirs, agreements, last };
}

function merged(a: Agreement | undefined, b: Agreement): Agreement {
  if (a === undefined) return b;
  const known = [a.pixelDifference, b.pixelDifference].filter((value) => value !== undefined);
  return {
    compared: a.compared + b.compared,
    different: a.different + b.different,
    excused: a.excused + b.excused,
    pixelDifference: known.length === 0 ? undefined : Math.max(...known),
  };
}

async function bestRates({ engine, model }: Loaded, torch: TorchSides | undefined) {
  const shapes = gemmShapes(model.config);
  return {
    runtime: Math.max(...await gemmRates(engine, shapes, GEMM_REPEATS)),
    torch: Math.max(...await torch?.gemmRates(shapes, 3 * GEMM_REPEATS) ?? [NaN]),
  };
}

/** The last picture again, under the runtime's profiler and off the clock. */
async function profile(setup: Setup, draw: DrawTask): Promise<Record<string, GraphProfile>> {
  const folder = await Deno.makeTempDir();
  try {
    const engine = await openCpu({ threads: setup.threads, profile: folder });
    const model = await openModel({ folder: setup.folder, engine });
    await drawOnce(draw, model, inputOf(setup, setup.pictures - 1));
    await model.close();
    await engine.close();
    const profiles: Record<string, GraphProfile> = {};
    for await (const { name } of Deno.readDir(folder)) {
      const graph = /^(prompt|draw_prefix|vq_decode)_/.exec(name)?.[1];
      if (graph !== undefined) profiles[graph] = readProfile(await Deno.readTextFile(`${folder}/${name}`));
    }
    return profiles;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Multiply-adds of the runtime's prompt and steps of a picture. */
function work(profiles: Readonly<Record<string, GraphProfile>>, { recipe }: Drawn): number {
  const [prompt, draw] = [profiles["prompt"], profiles["draw_prefix"]];
  if (prompt === undefined || draw === undefined) throw new RangeError("the profile lacks prompt or draw");
  return prompt.multiplyAdds * prompt.runs + draw.multiplyAdds * recipe.counts.length;
}

function refuseDifferences(agreements: Readonly<Record<string, Agreement>>): void {
  for (const [loop, { different, excused }] of Object.entries(agreements)) {
    if (different === excused) continue;
    throw new UnmaskError({
      code: "ids_differ",
      message: `${different - excused} ids differ from those of ${loop} by more than rounding`,
      fix: "one of the two computes something else: compare graph by graph with the fixtures",
      status: 500,
    });
  }
}
