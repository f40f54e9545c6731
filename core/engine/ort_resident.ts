/**
 * A tensor that stays where the provider put it.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { exclusive } from "./lock.ts";
import { orLoss, type OrtTensor, type Runtime, runtimeError } from "./ort.ts";
import { dtypeOf, toHost } from "./tensors.ts";
import type { DType, HostTensor, ResidentTensor } from "./types.ts";

export class GuardedResident implements ResidentTensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly #raw: OrtTensor;
  readonly #runtime: Runtime;
  #asked = false;
  #released = false;

  constructor(raw: OrtTensor, runtime: Runtime) {
    this.dtype = dtypeOf(raw);
    this.dims = [...raw.dims];
    this.#raw = raw;
    this.#runtime = runtime;
  }

  /** The runtime's tensor, for a session of the same runtime. Call it inside the lock. */
  static raw(tensor: ResidentTensor, runtime: Runtime, name: string): OrtTensor {
    if (!(#raw in tensor) || tensor.#runtime !== runtime) {
      throw new UnmaskError({
        code: "tensor_of_another_engine",
        message: `input ${name} is resident in another engine`,
        fix: "read() it and feed the copy",
        param: name,
        status: 500,
      });
    }
    tensor.#check();
    return tensor.#raw;
  }

  read(): Promise<HostTensor> {
    return exclusive(async () => {
      this.#check();
      const { download } = this.#runtime;
      if (download === undefined) return toHost(this.#raw, this.#raw.data, true);
      const [host] = await download([this.#raw]).catch(async (cause: unknown) => {
        const fix = "see the message; `deno task doctor` checks the provider";
        throw await orLoss(this.#runtime, runtimeError("inference_failed", "a tensor cannot be read", fix, cause));
      });
      if (host === undefined) throw new TypeError("download answers with one tensor for each that it is given");
      return host;
    });
  }

  /** Waits for its turn: freeing while a run is under way is one of the overlaps that corrupt the runtime. */
  release(): void {
    if (this.#asked) return;
    this.#asked = true;
    // Runs and reads asked for earlier are ahead in the lock and still find it alive.
    void exclusive(() => {
      this.#released = true;
      this.#raw.dispose();
    });
  }

  #check(): void {
    if (!this.#released) return;
    throw new UnmaskError({
      code: "tensor_released",
      message: "the resident tensor was released",
      fix: "release it once, after its last use",
      status: 500,
    });
  }
}
