/**
 * Stands between one process and `denokv`: sees every commit, and at a chosen one kills the process or loses the answer.
 * So faults hit a write before, while and after it is made, and the product has no hook for them.
 *
 * @module
 */
import { parseCommit, parseOutcome } from "./wire.ts";
import type { Witness } from "./witness.ts";

/** Where in a commit a trap snaps. */
export type Moment = "before" | "during" | "after" | "answer lost";

interface Trap {
  readonly moment: Moment;
  /** Only commits that hold a snapshot. */
  readonly snapshot: boolean;
  readonly snap: () => void;
}

export class StoreProxy {
  readonly address: string;
  readonly #name: string;
  readonly #upstream: string;
  readonly #witness: Witness;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #traps = new Set<Trap>();

  constructor(name: string, upstream: string, witness: Witness) {
    [this.#name, this.#upstream, this.#witness] = [name, upstream, witness];
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: () => new Response(null) };
    this.#server = Deno.serve(options, (request) => this.#pass(request));
    this.address = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /**
   * At the next commit (with a snapshot in it). Resolves to what `act` gives once it snapped, false if it was taken away
   * before a commit had sprung it.
   */
  set(moment: Moment, snapshot: boolean, act: () => boolean = () => true): {
    sprung: Promise<boolean>;
    take: () => void;
  } {
    const { promise: sprung, resolve } = Promise.withResolvers<boolean>();
    const trap: Trap = { moment, snapshot, snap: () => resolve(act()) };
    this.#traps.add(trap);
    const take = () => {
      if (this.#traps.delete(trap)) resolve(false);
    };
    return { sprung, take };
  }

  async close(): Promise<void> {
    await this.#server.shutdown();
  }

  async #pass(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = new Uint8Array(await request.arrayBuffer());
    if (!pathname.endsWith("/atomic_write")) return await this.#forward(request, pathname, body);
    const writes = parseCommit(body);
    const trap = this.#spring(writes.some(({ key, value }) => key[0] === "state" && value !== null));
    if (trap?.moment === "before") {
      trap.snap();
      return broken();
    }
    const answer = this.#forward(request, pathname, body);
    if (trap?.moment === "during") trap.snap();
    const response = await answer;
    const bytes = new Uint8Array(await response.arrayBuffer().catch(() => new ArrayBuffer(0)));
    const version = response.ok && bytes.length > 0 ? parseOutcome(bytes) : null;
    if (version !== null) this.#witness.saw(this.#name, version, writes);
    if (trap?.moment === "answer lost") {
      trap.snap();
      return broken();
    }
    if (trap?.moment === "after") setTimeout(trap.snap, 5);
    if (bytes.length === 0 && response.ok) return broken();
    return new Response(bytes, { status: response.status, headers: { "content-type": "application/x-protobuf" } });
  }

  #spring(snapshot: boolean): Trap | null {
    const trap = [...this.#traps].find((trap) => snapshot || !trap.snapshot);
    if (trap === undefined) return null;
    this.#traps.delete(trap);
    return trap;
  }

  async #forward(request: Request, pathname: string, body: Uint8Array<ArrayBuffer>): Promise<Response> {
    const headers = new Headers(request.headers);
    for (const name of ["host", "content-length", "connection"]) headers.delete(name);
    try {
      const response = await fetch(`${this.#upstream}${pathname}`, {
        method: request.method,
        headers,
        body,
        signal: request.signal,
      });
      return new Response(response.body, { status: response.status, headers: response.headers });
    } catch {
      return broken(); // the store is down, or the process that asked is
    }
  }
}

/** A connection that breaks in the middle of its answer. */
function broken(): Response {
  return new Response(
    new ReadableStream({
      start: (controller) => {
        controller.enqueue(Uint8Array.of(8));
        controller.error(new Error("cut"));
      },
    }),
    { headers: { "content-length": "99" } },
  );
}
