/**
 * Worker processes, each behind a proxy of its own: started as `deno task worker` starts one, with that task's own
 * permissions, and killed, stopped and stalled by signals. One that ends though nobody told it to is remembered, with the
 * last that it said, and another takes its place, as under a supervisor.
 *
 * @module
 */
import { TOKEN } from "../lib/denokv.ts";
import type { Violations } from "./oracle.ts";
import { StoreProxy } from "./proxy.ts";
import type { Witness } from "./witness.ts";

export interface WorkerSettings {
  readonly upstream: string;
  readonly witness: Witness;
  /** Folder of the model. */
  readonly model: string;
  /** File of webhook settings. */
  readonly webhooks: string;
  /** Seconds. */
  readonly lease: number;
  readonly slots: number;
  /** Folder that keeps what each process logged. */
  readonly logs: string;
}

/** A process that ended by itself. */
export interface UnaskedEnd {
  readonly name: string;
  /** `code 1`, `SIGSEGV`. */
  readonly how: string;
  /** Unix ms. */
  readonly born: number;
  readonly ended: number;
  /** It had been ready. */
  readonly worked: boolean;
  /** The last lines of its stderr. */
  readonly said: string;
}

interface Life {
  readonly process: Deno.ChildProcess;
  readonly born: number;
  /** The last characters of it. */
  readonly stderr: { said: string };
  /** The id that it claims runs with; empty until it is ready. */
  id: string;
  /** What it was told to end by. */
  asked: "SIGKILL" | "SIGTERM" | null;
  /** Settles once it is gone and its stderr was read to the end. */
  readonly gone: Promise<Deno.CommandStatus>;
}

/** Characters of a process's stderr that are kept for a report. */
const SAID = 4000;
/** Of them in a report. */
const LINES = 6;
/** Ms until a process that ended by itself has a successor. */
const RESTART = 500;

/** A place for one worker: when its process is gone, another takes it. */
export class WorkerPlace {
  readonly proxy: StoreProxy;
  readonly #name: string;
  readonly #settings: WorkerSettings;
  #life: Life | null = null;
  #births = 0;
  #closed = false;
  #ready: Promise<void> = Promise.resolve();
  readonly unasked: UnaskedEnd[] = [];

  constructor(name: string, settings: WorkerSettings) {
    [this.#name, this.#settings] = [name, settings];
    this.proxy = new StoreProxy(name, settings.upstream, settings.witness);
  }

  /** The id that its process claims runs with; empty until that is ready. */
  get id(): string {
    return this.#life?.id ?? "";
  }

  /** Of its process; null: there is none. */
  get pid(): number | null {
    return this.#life?.process.pid ?? null;
  }

  /** Whether its process is up and claims runs. */
  get works(): boolean {
    return this.id !== "";
  }

  /** Starts a process. `ready` settles once it works. */
  async start(): Promise<void> {
    const { model, webhooks, lease, slots, logs } = this.#settings;
    const [, ...task] = (await taskLine("worker")).split(" ");
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...task,
        ...["--store", this.proxy.address, "--webhooks", webhooks, "--json"],
        ...["--model", model, "--provider", "cpu", "--threads", "1"],
        ...["--lease", String(lease), "--slots", String(slots)],
      ],
      env: { DENO_KV_ACCESS_TOKEN: TOKEN, NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const log = `${logs}/${this.#name}-${++this.#births}.log`;
    const stderr = { said: "" };
    const heard = read(process.stderr, async (text) => {
      stderr.said = (stderr.said + text).slice(-SAID);
      await Deno.writeTextFile(log, text, { append: true });
    });
    const gone = process.status.then(async (status) => (await heard, status));
    const life: Life = { process, born: Date.now(), stderr, id: "", asked: null, gone };
    this.#life = life;
    this.#ready = this.#announced(life);
    this.#ready.catch(() => {}); // who waits for it is told
    void this.#watch(life);
  }

  get ready(): Promise<void> {
    return this.#ready;
  }

  #announced(life: Life): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let text = "";
    const take = (more: string) => {
      text += more;
      if (life.id !== "" || !text.includes("\n")) return;
      life.id = (JSON.parse(text) as { readonly worker?: string }).worker ?? "";
      if (life.id !== "") resolve();
    };
    // To its end, so that nothing that it prints later meets a closed pipe.
    read(life.process.stdout, take).then(() => {
      reject(new Error(`${this.#name} ended before it was ready: ${lastLines(life.stderr.said)}`));
    }, reject);
    return promise;
  }

  /** Until it is gone. Nobody told it to: then it is remembered, and another takes its place. */
  async #watch(life: Life): Promise<void> {
    const { code, signal } = await life.gone;
    if (this.#life === life) this.#life = null;
    const told = life.asked === "SIGTERM" ? signal === null : life.asked !== null && signal === life.asked;
    if (told) return;
    const how = signal ?? `code ${code}`;
    const { born, stderr: { said }, id } = life;
    this.unasked.push({ name: this.#name, how, born, ended: Date.now(), worked: id !== "", said });
    await new Promise((resolve) => setTimeout(resolve, RESTART));
    if (!this.#closed && this.#life === null) await this.start();
  }

  /** @returns false: there is no process to hear it */
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL" | "SIGTERM"): boolean {
    const life = this.#life;
    if (life === null) return false;
    try {
      life.process.kill(name);
    } catch (error) {
      // It has ended, and whoever watches it is about to hear of it.
      if (error instanceof TypeError || error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
    if (name === "SIGKILL" || name === "SIGTERM") life.asked = name;
    return true;
  }

  /** Waits until the process is gone. @returns its exit code; 0 where there is none */
  async gone(): Promise<number> {
    return (await this.#life?.gone)?.code ?? 0;
  }

  /** Stops the process as a supervisor would, and for good. */
  async end(violations?: Violations): Promise<void> {
    this.#closed = true;
    const life = this.#life;
    if (life !== null && this.signal("SIGTERM")) {
      const patience = setTimeout(() => this.signal("SIGKILL"), 20_000);
      const { code } = await life.gone;
      clearTimeout(patience);
      if (code !== 0) {
        violations?.add("stop_failed", `${this.#name} ended with ${code}: ${lastLines(life.stderr.said)}`);
      }
    }
    await this.proxy.close();
  }
}

/** What of a log fits into a line of a report: from its last error on, or its end. */
export function lastLines(said: string): string {
  const lines = said.trim().split("\n");
  const error = lines.findLastIndex((line) => line.startsWith("error: "));
  return (error < 0 ? lines.slice(-LINES) : lines.slice(error, error + LINES)).join(" | ") || "(it said nothing)";
}

/** Text as it comes, so that nothing is missing when the process is killed. */
async function read(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (text: string) => void | Promise<void>,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) await take(text);
}

/** A task of deno.json as it stands there. */
async function taskLine(name: string): Promise<string> {
  const { tasks } = JSON.parse(await Deno.readTextFile("deno.json")) as { tasks: Record<string, string> };
  const line = tasks[name];
  if (line === undefined || !line.startsWith("deno run ")) throw new Error(`deno.json has no task ${name}`);
  return line;
}
