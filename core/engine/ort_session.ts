/**
 * A session that can only be run under the lock, checks names before it runs and places after it ran.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { checkFeeds, checkOutputs, type Feeds, misuse } from "./checks.ts";
import { exclusive } from "./lock.ts";
import { deviceLost, orLoss, type OrtSession, type OrtTensor, type Runtime, runtimeError } from "./ort.ts";
import { GuardedResident } from "./ort_resident.ts";
import { toHost, toOrt } from "./tensors.ts";
import type { HostTensor, ResidentTensor, Session } from "./types.ts";

export class GuardedSession implements Session {
  readonly name: string;
  readonly #raw: OrtSession;
  readonly #runtime: Runtime;
  readonly #released: () => void;
  #release: Promise<void> | undefined;
  #broken = false;

  constructor(name: string, raw: OrtSession, runtime: Runtime, released: () => void) {
    this.name = name;
    this.#raw = raw;
    this.#runtime = runtime;
    this.#released = released;
  }

  /** @throws what `checks.ts` finds, `inference_failed`, `session_released`, `session_broken`, `gpu_device_lost` */
  run(
    feeds: Feeds,
    outputs: readonly string[],
    keep: readonly string[] = [],
  ): Promise<Record<string, HostTensor | ResidentTensor>> {
    return exclusive(async () => {
      this.#check(feeds, outputs, keep);
      const raw = await this.#compute(feeds, outputs);
      return await this.#collect(raw, outputs, new Set(keep));
    });
  }

  release(): Promise<void> {
    this.#release ??= exclusive(async () => {
      if (this.#runtime.profile !== undefined) this.#raw.endProfiling();
      await this.#raw.release();
      this.#released();
    });
    return this.#release;
  }

  #check(feeds: Feeds, outputs: readonly string[], keep: readonly string[]): void {
    if (this.#release !== undefined) {
      throw misuse("session_released", `graph ${this.name} was released`, "load it again");
    }
    const lost = this.#runtime.lost?.();
    if (lost !== undefined) throw deviceLost(lost);
    if (this.#broken) throw broken(this.name);
    checkFeeds(this.name, this.#raw, feeds);
    checkOutputs(this.name, this.#raw, outputs, keep);
  }

  async #compute(feeds: Feeds, outputs: readonly string[]): Promise<Readonly<Record<string, OrtTensor>>> {
    const { ort, info } = this.#runtime;
    const raw = Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => [
        name,
        "data" in tensor ? toOrt(ort, name, tensor) : GuardedResident.raw(tensor, this.#runtime, name),
      ]),
    );
    try {
      return await this.#raw.run(raw, [...outputs]);
    } catch (cause) {
      // onnxruntime-web never binds inputs again after a failed run with GPU outputs: it would run on freed ones.
      this.#broken = this.#runtime.location === "gpu-buffer";
      const what = `graph ${this.name} failed on ${info.provider}`;
      const fix = "see the message; `deno task doctor` checks the provider";
      throw await orLoss(this.#runtime, runtimeError("inference_failed", what, fix, cause));
    }
  }

  async #collect(
    raw: Readonly<Record<string, OrtTensor>>,
    outputs: readonly string[],
    keep: ReadonlySet<string>,
  ): Promise<Record<string, HostTensor | ResidentTensor>> {
    const { location, download } = this.#runtime;
    const result: Record<string, HostTensor | ResidentTensor> = {};
    const fetched: { readonly name: string; readonly tensor: OrtTensor }[] = [];
    for (const name of outputs) {
      const tensor = raw[name];
      if (tensor === undefined || tensor.location !== location) {
        throw new UnmaskError({
          code: "provider_mismatch",
          message: `output ${name} of graph ${this.name} came back in ${
            tensor?.location ?? "nothing"
          }, not in ${location}`,
          fix: "report it with the output of `deno task doctor`",
          status: 500,
        });
      }
      if (keep.has(name)) result[name] = new GuardedResident(tensor, this.#runtime);
      else if (download === undefined) result[name] = toHost(tensor, tensor.data, false);
      else fetched.push({ name, tensor });
    }
    if (download !== undefined && fetched.length > 0) {
      try {
        const hosts = await download(fetched.map(({ tensor }) => tensor)).catch(async (cause: unknown) => {
          const what = `the outputs of graph ${this.name} cannot be read`;
          const fix = "see the message; `deno task doctor` checks the provider";
          throw await orLoss(this.#runtime, runtimeError("inference_failed", what, fix, cause));
        });
        fetched.forEach(({ name }, index) => {
          const host = hosts[index];
          if (host !== undefined) result[name] = host;
        });
      } finally {
        for (const { tensor } of fetched) tensor.dispose();
      }
    }
    return result;
  }
}

function broken(name: string): UnmaskError {
  return new UnmaskError({
    code: "session_broken",
    message: `a run of graph ${name} failed on the GPU`,
    fix: "nothing, if runs go on by themselves; else restart the worker, they go on from their last record",
    status: 503,
  });
}
