/**
 * A session that can only be run under the lock, checks names before it runs and places after it ran.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { exclusive } from "./lock.ts";
import { type OrtSession, type OrtTensor, type Runtime, runtimeError } from "./ort.ts";
import { GuardedResident } from "./ort_resident.ts";
import { toHost, toOrt } from "./tensors.ts";
import type { HostTensor, ResidentTensor, Session } from "./types.ts";

type Feeds = Readonly<Record<string, HostTensor | ResidentTensor>>;

export class GuardedSession implements Session {
  readonly name: string;
  readonly #raw: OrtSession;
  readonly #runtime: Runtime;
  readonly #released: () => void;
  #release: Promise<void> | undefined;

  constructor(name: string, raw: OrtSession, runtime: Runtime, released: () => void) {
    this.name = name;
    this.#raw = raw;
    this.#runtime = runtime;
    this.#released = released;
  }

  /** @throws `graph_input_missing`, `graph_input_unknown`, `graph_output_unknown`, `inference_failed`, … */
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
    if (lost !== undefined) {
      throw new UnmaskError({
        code: "gpu_device_lost",
        message: `the GPU device is gone: ${lost}`,
        fix: "restart the worker; its runs go on from their last record",
        status: 503,
      });
    }
    const missing = this.#raw.inputNames.filter((name) => !(name in feeds));
    if (missing.length > 0) {
      throw misuse(
        "graph_input_missing",
        `graph ${this.name} lacks its input ${missing.join(", ")}`,
        "feed it",
        missing[0],
      );
    }
    const foreign = Object.keys(feeds).filter((name) => !this.#raw.inputNames.includes(name));
    if (foreign.length > 0) {
      const has = this.#raw.inputNames.join(", ");
      throw misuse(
        "graph_input_unknown",
        `graph ${this.name} has no input ${foreign.join(", ")}`,
        `it has ${has}`,
        foreign[0],
      );
    }
    const unknown = outputs.find((name) => !this.#raw.outputNames.includes(name)) ??
      keep.find((name) => !outputs.includes(name));
    if (unknown !== undefined) {
      const has = this.#raw.outputNames.join(", ");
      throw misuse(
        "graph_output_unknown",
        `graph ${this.name} was not asked for an output ${unknown}`,
        `it has ${has}`,
        unknown,
      );
    }
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
      const what = `graph ${this.name} failed on ${info.provider}`;
      throw runtimeError("inference_failed", what, "see the message; `deno task doctor` checks the provider", cause);
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
        const hosts = await download(fetched.map(({ tensor }) => tensor));
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

function misuse(code: string, message: string, fix: string, param?: string): UnmaskError {
  return new UnmaskError({ code, message, fix, status: 500, ...(param === undefined ? {} : { param }) });
}
