/**
 * What happens, as drawn from the seed: which runs are asked for and how their callers behave, and which faults come in
 * which order. When exactly they meet is the machine's doing.
 *
 * @module
 */
import type { TaskName } from "../../core/tasks/all_tasks.ts";
import { Random } from "./random.ts";

/** Faults that hit a process or the store, one at a time. */
export const PROCESS_FAULTS = [
  "kill_before_snapshot",
  "kill_during_snapshot",
  "kill_after_snapshot",
  "stall_past_lease",
  "store_killed",
  "worker_stopped",
] as const;
/** Faults that come beside those. */
export const SIDE_FAULTS = ["answer_lost", "receiver_down", "receiver_slow", "receiver_500"] as const;
/** Faults of callers; a run's own behaviour. */
export const CALLER_FAULTS = ["stream_left", "request_left", "cancel_at_finish"] as const;

export type ProcessFault = (typeof PROCESS_FAULTS)[number];
export type SideFault = (typeof SIDE_FAULTS)[number];
export type FaultName = ProcessFault | SideFault | (typeof CALLER_FAULTS)[number];

export type Behaviour =
  | "plain"
  | "stream_left"
  | "request_left"
  | "request_left_keep"
  | "cancel_at_finish"
  | "paused"
  | "budget"
  | "fork"
  | "redraw";

export interface PlannedRun {
  readonly task: TaskName;
  readonly input: Readonly<Record<string, unknown>>;
  readonly behaviour: Behaviour;
  /** Whose API key. */
  readonly owner: string;
  readonly priority: number;
  /** In [0, 1): where in its own course the behaviour happens. */
  readonly when: number;
}

export interface Plan {
  readonly short: boolean;
  readonly tasks: readonly TaskName[];
  readonly runs: readonly PlannedRun[];
  /** As many more as the faults need to meet some. */
  readonly more: () => PlannedRun;
  /** Asked for all at once at the end, beyond what the workers can hold. */
  readonly burst: readonly PlannedRun[];
  readonly faults: readonly ProcessFault[];
  readonly side: readonly SideFault[];
  readonly random: Random;
}

/** How many of each, and how many runs at least. */
const SIZES = {
  short: { runs: 60, burst: 24, each: { kill: 2, other: 1 }, answers: 6, receivers: 1 },
  full: { runs: 200, burst: 32, each: { kill: 8, other: 5 }, answers: 24, receivers: 3 },
} as const;

/** Few different ones: each is drawn once more, undisturbed, to compare with. */
const PROMPTS = ["a photo of a zebra", "a photo of two cups", "a photo of a red car and a blue dog"] as const;
const COURSES = [[4, "stratified"], [6, "random"], [8, "confidence"], [10, "halton"]] as const;

/** What any task but a draw looks at; a file in base64. */
type Picture = string;

/** An input of each task that exists. */
const INPUTS: Readonly<Record<TaskName, (random: Random, picture: Picture) => PlannedRun["input"]>> = {
  draw: (random) => {
    const [steps, order] = random.of(COURSES);
    return { prompt: random.of(PROMPTS), seed: 2, steps, order };
  },
  answer: (random, picture) => ({
    question: random.of(["what is in the picture?", "which colour is it?"]),
    picture,
    length: 8,
    block: 4,
    seed: 2,
  }),
  ground: (random, picture) => ({ picture, expressions: [random.of(["a zebra", "the red car"])], steps: 4 }),
  edit: (random, picture) => ({
    instruction: random.of(["make the cup red", "remove the dog"]),
    picture,
    seed: 2,
    steps: random.of([4, 6]),
  }),
  plan: (random) => ({ prompt: random.of(PROMPTS), seed: 2, length: 16, block: 8, stepsPerBlock: 4 }),
  // Two drawings and their verdicts, or a plan and its drawing: verdicts and plans have lengths of their own.
  reflect: (random) => ({
    prompt: random.of(PROMPTS),
    seed: 2,
    steps: 4,
    ...random.of([{ plan: false, rounds: 2 }, { judge: false }]),
  }),
};

/** Of every 14 runs: a reflection takes as long as ten of the others. */
const SHARES: Readonly<Record<TaskName, number>> = { draw: 4, answer: 2, ground: 2, edit: 3, plan: 2, reflect: 1 };

const OWNERS = ["first-key", "second-key"] as const;

const BEHAVIOURS: readonly (readonly [Behaviour, number])[] = [
  ["plain", 40],
  ["stream_left", 12],
  ["request_left", 8],
  ["request_left_keep", 6],
  ["cancel_at_finish", 12],
  ["paused", 6],
  ["budget", 4],
  ["fork", 8],
  ["redraw", 4],
];

/** What cannot be asked of every task: of those alone that fill one picture, or that have a past with pictures. */
export const ONLY_OF: Readonly<Partial<Record<Behaviour, readonly TaskName[]>>> = {
  budget: ["draw", "edit"],
  redraw: ["draw", "edit"],
  fork: ["draw", "edit", "reflect"],
};

/** @param tasks that the model can do; @param picture a file in base64 */
export function planOf(seed: number, short: boolean, tasks: readonly TaskName[], picture: Picture): Plan {
  const random = new Random(seed);
  const size = short ? SIZES.short : SIZES.full;
  const deck = BEHAVIOURS.flatMap(([behaviour, count]) => Array<Behaviour>(count).fill(behaviour));
  const shares = tasks.flatMap((task) => Array<TaskName>(SHARES[task]).fill(task));
  // Dealt, not drawn, so that every few runs have all tasks.
  const hand: TaskName[] = [];
  const deal = (): TaskName => {
    if (hand.length === 0) hand.push(...random.shuffled(shares));
    return hand.pop() ?? "draw";
  };
  const run = (behaviour: Behaviour): PlannedRun => {
    const only = ONLY_OF[behaviour];
    const task = only === undefined ? deal() : random.of(tasks.filter((task) => only.includes(task)));
    return {
      task,
      input: INPUTS[task](random, picture),
      behaviour,
      owner: random.of(OWNERS),
      priority: random.between(3, 7),
      when: random.next(),
    };
  };
  // Forks and redraws need somebody to begin from: runs of each key.
  const first = Array.from({ length: 4 }, (_, i): PlannedRun => ({
    ...run("plain"),
    task: "draw",
    input: INPUTS.draw(random, picture),
    owner: OWNERS[i % OWNERS.length] ?? "",
  }));
  const rest = Array.from({ length: Math.ceil((size.runs - 4) / deck.length) }, () => random.shuffled(deck)).flat();
  return {
    short,
    tasks,
    runs: [...first, ...rest.slice(0, size.runs - 4 - size.burst).map(run)],
    more: () => run(random.of(["plain", "plain", "stream_left", "fork"])),
    burst: Array.from({ length: size.burst }, () => run("plain")),
    faults: random.shuffled(
      PROCESS_FAULTS.flatMap((name) =>
        Array<ProcessFault>(name.startsWith("kill") ? size.each.kill : size.each.other).fill(name)
      ),
    ),
    side: random.shuffled(
      SIDE_FAULTS.flatMap((name) =>
        Array<SideFault>(name === "answer_lost" ? size.answers : size.receivers).fill(name)
      ),
    ),
    random,
  };
}
