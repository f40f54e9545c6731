/**
 * An inference that is told what to say: evaluations of whoever knows the truth, and of whoever lies. Its runs have no
 * steps. Never part of the product.
 */
import { createJudge, type Judge } from "../../../bench/scenes/judge.ts";
import type { Sight } from "../../../bench/scenes/detect.ts";
import { judgeSight } from "../../../bench/scenes/score.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";
import { type Command } from "../../../commands/lib/command.ts";
import { evalCommand } from "../../../commands/eval.ts";
import { decodePicture } from "../../../core/image/codec.ts";
import type { Picture } from "../../../core/model/types.ts";
import { type TaskName, TASKS } from "../../../core/tasks/all_tasks.ts";
import type { RemoteInference, RemoteSteps } from "../../../core/tasks/remote.ts";
import { type Double, double } from "../../functions/double.ts";
import { collect } from "../collect.ts";

const world = await loadWorld();
const { see } = createJudge(world);
const seen = new Map<string, Sight>();
/** Made once for all commands, and a picture is looked at once: both take a moment. */
const judge: Judge = {
  see(picture) {
    const key = keyOf("", picture), known = seen.get(key) ?? see(picture);
    seen.set(key, known);
    return known;
  },
  judge: (picture, metadata) => judgeSight(world, judge.see(picture), metadata),
};

export interface Request {
  readonly task: TaskName;
  readonly input: Readonly<Record<string, unknown>>;
  /** The input's picture, unpacked. */
  readonly picture: Picture | undefined;
}

export interface Told {
  readonly result: unknown;
  /** What the run's last state is. @default {} */
  readonly state?: unknown;
}

export interface Oracle {
  readonly inference: Double;
  readonly requests: Request[];
  /** The command's JSON. */
  run(...args: string[]): Promise<Record<string, unknown>>;
}

/** @param tell what a run gives */
export function oracle(tell: (request: Request) => Told | Promise<Told>, own: Partial<RemoteInference> = {}): Oracle {
  const requests: Request[] = [], base = double();
  const steps = {
    ...base.steps,
    async start(input: Readonly<Record<string, unknown>>, task: TaskName = "draw") {
      const bytes = input["picture"];
      const picture = bytes instanceof Uint8Array ? await decodePicture(bytes) : undefined;
      const request = { task, input, picture };
      requests.push(request);
      const { result, state } = await tell(request);
      return { ...(state ?? {}), result };
    },
    open: () => Promise.resolve({ step: () => Promise.resolve(null), close: () => Promise.resolve() }),
    result: ({ result }: Told) => Promise.resolve(result),
  };
  const inference: Double = {
    ...base,
    info: { ...base.info, tasks: TASKS },
    steps: steps as unknown as RemoteSteps,
    ...own,
  } as Double;
  const command: Command = evalCommand(() => Promise.resolve(inference), () => judge);
  return {
    inference,
    requests,
    async run(...args) {
      const { code, stdout, stderr } = await collect(command, [...args, "--json"]);
      if (code !== 0) throw new Error(`exit ${code}: ${stdout} ${stderr}`);
      return JSON.parse(stdout);
    },
  };
}

export function keyOf(text: string, picture: Picture | undefined): string {
  const bytes = picture?.data ?? new Uint8Array();
  let hash = 2166136261;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619);
  return `${text} ${hash >>> 0}`;
}
