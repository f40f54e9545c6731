/**
 * Graphs to sessions, and an account of what is loaded: built from weights when they are asked for, or read from the
 * files of a converted folder.
 *
 * @module
 */
import type { BuiltGraph } from "../../kernels/onnx/graph.ts";
import type { Engine, Graph, GraphFile, Session } from "../engine/types.ts";
import { giveUp } from "./give_up.ts";
import type { LoadedGraph } from "./types.ts";

/** A graph that was built before. */
export interface StoredGraph {
  readonly file: GraphFile;
  /** Of its weights. */
  readonly bytes: number;
}

/** Graphs of a converted folder. */
export interface StoredGraphs {
  /** @throws {UnmaskError} `part_missing` */
  find(name: string): StoredGraph;
}

export class Graphs {
  readonly #engine: Engine;
  readonly #stored: StoredGraphs | undefined;
  readonly #loaded = new Map<Session, LoadedGraph>();

  constructor(engine: Engine, stored?: StoredGraphs) {
    this.#engine = engine;
    this.#stored = stored;
  }

  /** `name`: that of the graph which `build` builds. */
  async load(name: string, build: () => Promise<BuiltGraph>): Promise<Session> {
    const stored = this.#stored?.find(name);
    const graph: Graph | GraphFile = stored?.file ?? await build();
    if (graph.name !== name) throw new RangeError(`graph ${graph.name} was asked for as ${name}`);
    const session = await this.#engine.load(graph);
    // The runtime has its own copy.
    if ("model" in graph) giveUp(graph.model);
    const bytes = stored?.bytes ?? ("weightBytes" in graph ? Number(graph.weightBytes) : 0);
    const counted: Session = {
      name,
      run: (feeds, outputs, keep) => session.run(feeds, outputs, keep),
      release: async () => {
        this.#loaded.delete(counted);
        await session.release();
      },
    };
    const { cpuNodes } = graph;
    this.#loaded.set(counted, { graph: name, bytes, ...(cpuNodes === undefined ? {} : { cpuNodes }) });
    return counted;
  }

  get loaded(): readonly LoadedGraph[] {
    return [...this.#loaded.values()];
  }

  /** Releases whatever is still loaded. */
  async release(): Promise<void> {
    for (const session of [...this.#loaded.keys()]) await session.release();
  }
}
