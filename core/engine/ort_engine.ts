/**
 * An engine over any build of onnxruntime. This module and the two beside it (`ort_session.ts`, `ort_resident.ts`) are
 * the only code that holds sessions and tensors of onnxruntime, in private fields, and touch them only inside
 * {@link exclusive}.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { exclusive } from "./lock.ts";
import { type OrtSession, type OrtSessionOptions, type Runtime, runtimeError } from "./ort.ts";
import { GuardedSession } from "./ort_session.ts";
import { readGraph } from "./graph_file.ts";
import { WebGpuKernels } from "./webgpu_kernels.ts";
import type { Engine, EngineInfo, Graph, GraphFile, Session } from "./types.ts";

/** onnxruntime's words when a node would land on the CPU although that is forbidden. */
const FELL_TO_CPU = "assigned to the default CPU EP";

export class OrtEngine implements Engine {
  readonly info: EngineInfo;
  readonly gpu?: WebGpuKernels;
  readonly #runtime: Runtime;
  readonly #sessions = new Set<GuardedSession>();
  #closed = false;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.info = runtime.info;
    if (runtime.device !== undefined) this.gpu = new WebGpuKernels(runtime, runtime.device);
  }

  /** @throws `graph_not_on_gpu`, `graph_refused`, `engine_closed` */
  async load(graph: Graph | GraphFile): Promise<Session> {
    const raw = await this.#inTurn(graph);
    // Nothing here may close over the graph: its weights would live as long as the session.
    const session: GuardedSession = new GuardedSession(graph.name, raw, this.#runtime, () => {
      this.#sessions.delete(session);
    });
    this.#sessions.add(session);
    return session;
  }

  /** Releases every session. The runtime itself stays loaded: onnxruntime cannot be unloaded from a thread. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.gpu?.close();
    await Promise.all([...this.#sessions].map((session) => session.release()));
  }

  #inTurn(graph: Graph | GraphFile): Promise<OrtSession> {
    return exclusive(() => {
      this.#checkOpen();
      return this.#create(graph);
    });
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    throw new UnmaskError({
      code: "engine_closed",
      message: "the engine is closed",
      fix: "open another one",
      status: 503,
    });
  }

  async #create(graph: Graph | GraphFile): Promise<OrtSession> {
    const { ort, info, sessionOptions, location, profile } = this.#runtime;
    const wholly = location === "gpu-buffer" && graph.cpuNodes === undefined;
    const options: OrtSessionOptions = {
      ...sessionOptions,
      ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: `${profile}/${graph.name}` }),
      ...(wholly ? { extra: { session: { disable_cpu_ep_fallback: "1" } } } : {}),
    };
    try {
      if (!("path" in graph)) {
        const files = graph.externalData?.map((file) => ({ ...file }));
        return await ort.InferenceSession.create(
          graph.model,
          files === undefined ? options : { ...options, externalData: files },
        );
      }
      const half = location === "cpu" ? { ...options, ...keepingHalf(graph) } : options;
      if (info.provider === "cpu") {
        return await ort.InferenceSession.create(graph.path, half);
      }
      const { model, externalData } = await readGraph(graph);
      return await ort.InferenceSession.create(model, { ...half, externalData });
    } catch (cause) {
      if (wholly && String(cause).includes(FELL_TO_CPU)) {
        throw new UnmaskError({
          code: "graph_not_on_gpu",
          message: `graph ${graph.name} has nodes that the ${info.provider} provider cannot run`,
          fix: "build it from operators that WebGPU has, or give the graph a cpuNodes reason",
          status: 500,
          cause,
        });
      }
      throw runtimeError(
        "graph_refused",
        `${info.runtime} refuses graph ${graph.name} on ${info.provider}`,
        "check the graph's operators and weights; `deno task doctor` shows which providers work",
        cause,
      );
    }
  }
}

/** The runtime's optimisations would widen fp16 constants for good, and its arena would keep what a run widened. */
function keepingHalf({ keepHalf }: GraphFile): OrtSessionOptions {
  return keepHalf === true ? { graphOptimizationLevel: "disabled", enableCpuMemArena: false } : {};
}
