/**
 * `deno task start`: the server and its page, until Ctrl-C or SIGTERM. With `--draw` it also draws a first picture.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import { type Codec, codecThread } from "../core/image/codec_thread.ts";
import { DEFAULT_STORE, type House, openHouse } from "../core/runs/house.ts";
import { parseDrawInput } from "../core/tasks/draw_input.ts";
import { openInference, type RemoteInference } from "../core/tasks/remote.ts";
import { pictureFetcher } from "../functions/routes/openai/fetch_picture.ts";
import { observers } from "../functions/observe/observers.ts";
import { DEFAULT_HOST, DEFAULT_PORT, serve } from "../functions/serve.ts";
import { type Command, type JsonLine, main } from "./lib/command.ts";
import { ACCESS_FLAGS, accessOf, isLoopback } from "./lib/access.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel, requireModelFolder } from "./lib/model.ts";
import { readWebhooks, WEBHOOKS_FLAG } from "./lib/webhooks.ts";

/** The one file that the task may write, so its name is not free: see deno.json. */
const FIRST_PICTURE = "picture.png";
/** Fixed, so that the first picture is the same on every start. */
const FIRST_SEED = 7;

export const START_FLAGS = {
  host: { kind: "text", help: `the address to listen on (default: ${DEFAULT_HOST}, this machine only)` },
  port: { kind: "number", help: `the port; 0 takes any (default: ${DEFAULT_PORT})` },
  store: {
    kind: "text",
    help: `where runs are kept: a file, or the address of a KV Connect server (default: ${DEFAULT_STORE})`,
  },
  ...WEBHOOKS_FLAG,
  ...ACCESS_FLAGS,
  draw: { kind: "text", help: `a prompt to draw into ${FIRST_PICTURE} as soon as the model is loaded` },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

/** The command over a way to open a model and a codec. Its line of `--json` comes as soon as it can draw. */
export function startCommand(open: OpenModel, codec: Codec): Command {
  const { encode, decode } = codec;
  return async (args, { output, signal, announce }) => {
    const { flags, positionals } = parseFlags(args, START_FLAGS);
    if (flags.help) {
      output.stderr(`${usage("start [flags]", START_FLAGS)}\n`);
      return { help: true };
    }
    refusePositionals(positionals);
    const port = portOf(flags.port);
    const choice = modelChoice(flags);
    await requireModelFolder(choice);
    const webhooks = await readWebhooks(flags.webhooks);
    const start = performance.now();
    const inference = open(choice);
    // Whoever awaits it sees its failure; this keeps the process alive until then.
    inference.catch(() => {});
    const host = flags.host ?? DEFAULT_HOST;
    const { policy, hosts, origins, rate, admission } = accessOf(flags, host);
    if (policy === "open" && !isLoopback(host)) {
      output.stderr(`warning: ${host} is open to whoever reaches this machine, and no key is asked for\n`);
    }
    const log = (line: JsonLine) => output.stderr(`${JSON.stringify(line)}\n`);
    const { metrics, ...watching } = observers();
    const house = inference.then((opened) =>
      openHouse({
        ...watching,
        inference: opened,
        modelFolder: choice.modelFolder,
        store: flags.store ?? DEFAULT_STORE,
        encode,
        webhooks: webhooks.out,
        delivery: webhooks.delivery,
        admission,
        log,
      })
    );
    const closing = new AbortController();
    const runs = house.then(async ({ runs, engine }) => ({
      runs,
      engine,
      encode,
      decode,
      imageSize: (await inference).info.imageSize,
      closing: closing.signal,
    }));
    const hooks = house.then(({ runs, dispatcher }) => ({
      runs,
      hooks: webhooks.hooks,
      onReplay: () => dispatcher.wake(),
    }));
    const protocols = house.then(async ({ runs, links, worker, engine }) => ({
      runs,
      engine,
      encode,
      links,
      model: (await inference).info.model,
      baseUrl: webhooks.out.base_url,
      ...(flags["fetch-images"] ? { fetchPicture: pictureFetcher() } : {}),
      busy: () => worker.active >= worker.slots,
      closing: closing.signal,
    }));
    // A door without runs tells each of its callers why.
    const keys = house.then(({ keys }) => keys);
    for (const door of [runs, hooks, protocols, keys]) door.catch(() => {});
    const server = serve({
      inference,
      host,
      port,
      runs,
      hooks,
      protocols,
      metrics,
      log,
      access: { policy, hosts, origins, rate, keys },
    });
    try {
      output.stderr(`loading the model; ${server.url} answers already\n`);
      const { info, steps } = await inference;
      // A store that cannot be opened ends the command; an inference without steps serves whole pictures all the same.
      if (steps !== undefined) await house;
      const seconds = Number(((performance.now() - start) / 1000).toFixed(2));
      output.stderr(
        `ready: ${server.url} (${info.model} on ${info.provider}, ${info.device}, loaded in ${seconds} s)\n`,
      );
      const picture = flags.draw === undefined ? {} : await drawFirst(await inference, encode, flags.draw, signal);
      if (picture.out !== undefined) {
        output.stderr(`${picture.out}: "${flags.draw}", drawn in ${picture.draw_seconds} s\n`);
      }
      announce({
        url: server.url,
        model: info.model,
        provider: info.provider,
        device: info.device,
        seconds,
        ...picture,
      });
      await Promise.race([server.finished, aborted(signal)]);
      output.stderr("stopping: requests at work may end\n");
      return { stopped: true };
    } finally {
      // Waiting callers and event streams end now: their runs go on in the next process.
      closing.abort();
      const opened: House | undefined = await house.catch(() => undefined);
      await opened?.worker.stop();
      await server.shutdown();
      await opened?.close();
      await Promise.all([inference.then((opened) => opened.close(), () => {}), codec.close()]);
    }
  };
}

/** A prompt that the model refuses, or a file that cannot be written, ends the command. */
async function drawFirst(
  inference: RemoteInference,
  encode: Codec["encode"],
  prompt: string,
  signal: AbortSignal,
): Promise<{ readonly out?: string; readonly draw_seconds?: number }> {
  const { picture, seconds } = await inference.draw(parseDrawInput({ prompt, seed: FIRST_SEED }), { signal });
  await Deno.writeFile(FIRST_PICTURE, await encode(picture, "png")).catch((cause: unknown) => {
    throw new UnmaskError({
      code: "output_not_writable",
      message: `${FIRST_PICTURE} cannot be written`,
      fix: "make this folder writable, or leave --draw out",
      param: "draw",
      cause,
    });
  });
  return { out: FIRST_PICTURE, draw_seconds: Number(seconds.toFixed(3)) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function portOf(port: number | undefined): number {
  if (port === undefined) return DEFAULT_PORT;
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new UnmaskError({
    code: "port_out_of_range",
    message: "a port is a whole number from 0 to 65535",
    fix: `use --port ${DEFAULT_PORT}`,
    param: "port",
  });
}

function refusePositionals(positionals: readonly string[]): void {
  if (positionals.length === 0) return;
  throw new UnmaskError({
    code: "unexpected_argument",
    message: "start takes flags only",
    fix: "leave the argument out",
  });
}

if (import.meta.main) await main(startCommand(openInference, codecThread()));
