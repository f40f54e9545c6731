/**
 * `deno task start` in this process, over an inference and a codec that others here use too: what is measured beside it
 * then has the same threads, caches and clock.
 *
 * @module
 */
import { startCommand } from "../../commands/start.ts";
import type { Codec } from "../../core/image/codec_thread.ts";
import type { RemoteInference } from "../../core/tasks/remote.ts";

export interface ServerHere {
  readonly url: string;
  /** Also closes the inference and the codec. */
  stop(): Promise<void>;
}

/** Its runs are in a file, as by default, with the limits of rates and of the queue out of the way. */
export async function serverHere(inference: RemoteInference, codec: Codec): Promise<ServerHere> {
  const folder = await Deno.makeTempDir();
  const stopping = new AbortController();
  const ready = Promise.withResolvers<string>();
  const running = startCommand(() => Promise.resolve(inference), codec)(
    ["--port", "0", "--store", `${folder}/runs.db`, "--rate", "100000", "--runs", "100000", "--queue", "100000"],
    {
      output: { stdout: () => {}, stderr: () => {}, terminal: false },
      signal: stopping.signal,
      announce: ({ url }) => ready.resolve(String(url)),
    },
  );
  running.catch(ready.reject);
  return {
    url: await ready.promise,
    async stop() {
      stopping.abort();
      await running;
      await Deno.remove(folder, { recursive: true });
    },
  };
}
