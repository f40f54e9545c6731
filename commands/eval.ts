/**
 * `deno task eval TASK`: what the model does through the runtime, scored against the truth of scenes. One file a task in
 * eval/; `all` runs each.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createJudge, type Judge } from "../bench/scenes/judge.ts";
import { loadWorld, type World } from "../bench/scenes/world.ts";
import { UnmaskError } from "../core/errors.ts";
import { refuseTask } from "../core/tasks/all_tasks.ts";
import { openInference } from "../core/tasks/remote.ts";
import { answerEvaluation } from "./eval/answer.ts";
import { editEvaluation } from "./eval/edit.ts";
import { type Bench, type Evaluation } from "./eval/evaluation.ts";
import { findEvaluation } from "./eval/find.ts";
import { EVAL_FLAGS, type EvalFlags, refuseFlags } from "./eval/flags.ts";
import { planEvaluation } from "./eval/plan.ts";
import { reflectEvaluation } from "./eval/reflect.ts";
import { t2iEvaluation } from "./eval/t2i.ts";
import { type Command, type JsonLine, main } from "./lib/command.ts";
import { parseFlags, usage } from "./lib/flags.ts";
import { modelChoice, type OpenModel, requireModelFolder } from "./lib/model.ts";

const EVALUATIONS: Readonly<Record<string, Evaluation>> = {
  t2i: t2iEvaluation,
  answer: answerEvaluation,
  find: findEvaluation,
  edit: editEvaluation,
  plan: planEvaluation,
  reflect: reflectEvaluation,
};

const NAMES = [...Object.keys(EVALUATIONS), "all"];

/** The flags of all tasks at once; the others belong to one or two. */
const ALL_TAKES = ["n", "seed", "out"] as const;

/** @param judgeFor makes the judge; tests give one that is made already */
export function evalCommand(open: OpenModel, judgeFor: (world: World) => Judge = createJudge): Command {
  return async (args, { output, signal }) => {
    const { flags, positionals } = parseFlags(args, EVAL_FLAGS);
    if (flags.help) {
      output.stderr(`${usage(`eval ${NAMES.join("|")} [flags]`, EVAL_FLAGS)}\n`);
      return { help: true };
    }
    const task = taskOf(positionals), chosen = evaluationsOf(task);
    refuseFlags(flags, task, task === "all" ? ALL_TAKES : chosen[0]?.[1].takes ?? []);
    for (const [, evaluation] of chosen) await evaluation.check(flags);
    const model = modelChoice(flags);
    await requireModelFolder(model);
    const world = await loadWorld();
    const inference = await open(model);
    // Made when it is first needed: a moment that questions and boxes don't take.
    let judge: Judge | undefined;
    const judgeOf = () => judge ??= judgeFor(world);
    const began = performance.now();
    try {
      const { tasks, model: name } = inference.info;
      // Before an hour of what it can do.
      for (const need of chosen.flatMap(([, evaluation]) => evaluation.needs(flags))) refuseTask(need, tasks, name);
      const reports: [string, JsonLine][] = [];
      for (const [name, evaluation] of chosen) {
        const out = await folderOf(flags, task, name);
        reports.push([name, await evaluation.run({ world, judgeOf, inference, flags, output, signal, out })]);
      }
      const [only] = reports;
      return {
        ...(task === "all" ? Object.fromEntries(reports) : only?.[1] ?? {}),
        model: inference.info.model,
        provider: inference.info.provider,
        seconds: Number(((performance.now() - began) / 1000).toFixed(1)),
      };
    } finally {
      await inference.close();
    }
  };
}

function evaluationsOf(task: string): readonly (readonly [name: string, Evaluation])[] {
  return Object.entries(EVALUATIONS).filter(([name]) => task === "all" || name === task);
}

/** With all of them, a folder each. */
async function folderOf({ out }: EvalFlags, task: string, name: string): Promise<Bench["out"]> {
  if (out === undefined) return undefined;
  const folder = task === "all" ? join(out, name) : out;
  await mkdir(folder, { recursive: true });
  return folder;
}

function taskOf(positionals: readonly string[]): string {
  const [task, ...more] = positionals;
  if (task !== undefined && NAMES.includes(task) && more.length === 0) return task;
  throw new UnmaskError({
    code: "task_unknown",
    message: task === undefined ? "there is no task to evaluate" : `there is no evaluation of ${positionals.join(" ")}`,
    fix: `use: deno task eval ${NAMES.join(", ")}`,
    param: "task",
  });
}

if (import.meta.main) await main(evalCommand(openInference));
