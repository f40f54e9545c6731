/**
 * Worker processes, each behind a proxy of its own: started as `deno task worker` starts one, with that task's own
 * permissions, and killed, stopped and stalled by signals.
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
  /** File of webhook settings. */
  readonly webhooks: string;
  /** Seconds. */
  readonly lease: number;
  readonly slots: number;
  /** Folder that keeps what each process logged. */
  readonly logs: string;
}

/** A place for one worker: when its process is gone, another takes it. */
export class WorkerPlace {
  readonly proxy: StoreProxy;
  readonly #name: string;
  readonly #settings: WorkerSettings;
  #process: Deno.ChildProcess | null = null;
  #births = 0;
  /** The id that this process claims runs with; empty until it is ready. */
  id = "";
  #ready: Promise<void> = Promise.resolve();

  constructor(name: string, settings: WorkerSettings) {
    [this.#name, this.#settings] = [name, settings];
    this.proxy = new StoreProxy(name, settings.upstream, settings.witness);
  }

  /** Whether its process is up and claims runs. */
  get works(): boolean {
    return this.#process !== null && this.id !== "";
  }

  /** Starts a process. `ready` settles once it works. */
  async start(): Promise<void> {
    const { webhooks, lease, slots, logs } = this.#settings;
    const [, ...task] = (await taskLine("worker")).split(" ");
    this.id = "";
    this.#births++;
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...task,
        ...["--store", this.proxy.address, "--webhooks", webhooks, "--provider", "cpu", "--threads", "1", "--json"],
        ...["--lease", String(lease), "--slots", String(slots)],
      ],
      env: { DENO_KV_ACCESS_TOKEN: TOKEN },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#process = process;
    void keep(process.stderr, `${logs}/${this.#name}-${this.#births}.log`);
    this.#ready = this.#announced(process);
    this.#ready.catch(() => {});
  }

  get ready(): Promise<void> {
    return this.#ready;
  }

  async #announced(process: Deno.ChildProcess): Promise<void> {
    let text = "";
    for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (!text.includes("\n")) continue;
      const line = JSON.parse(text) as { readonly worker?: string };
      if (line.worker === undefined) throw new Error(`${this.#name}: ${text}`);
      if (this.#process === process) this.id = line.worker;
      return;
    }
    // Killed while it loaded: its place is given to the next.
    if (this.#process === process) throw new Error(`${this.#name} ended before it was ready; see its log`);
  }

  signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL" | "SIGTERM"): void {
    this.#process?.kill(name);
  }

  /** Waits until the process is gone. @returns its exit code */
  async gone(): Promise<number> {
    const process = this.#process;
    if (process === null) return 0;
    const { code } = await process.status;
    if (this.#process === process) {
      this.#process = null;
      this.id = "";
    }
    return code;
  }

  /** Stops the process as a supervisor would, and for good. */
  async end(violations?: Violations): Promise<void> {
    if (this.#process !== null) {
      this.signal("SIGTERM");
      const patience = setTimeout(() => this.signal("SIGKILL"), 20_000);
      const code = await this.gone();
      clearTimeout(patience);
      if (code !== 0) violations?.add("stop_failed", `${this.#name} ended with ${code}`);
    }
    await this.proxy.close();
  }
}

/** Line by line as it comes, so that nothing is missing when the process is killed. */
async function keep(stream: ReadableStream<Uint8Array>, path: string): Promise<void> {
  for await (const chunk of stream) await Deno.writeFile(path, chunk, { append: true });
}

/** A task of deno.json as it stands there. */
async function taskLine(name: string): Promise<string> {
  const { tasks } = JSON.parse(await Deno.readTextFile("deno.json")) as { tasks: Record<string, string> };
  const line = tasks[name];
  if (line === undefined || !line.startsWith("deno run ")) throw new Error(`deno.json has no task ${name}`);
  return line;
}
