/**
 * The app of an isolate, set up from its environment: with an engine in a thread of its own, or as a front over a store
 * that workers elsewhere share. Needs no permission to write, to start processes or to load native code.
 *
 * | variable          | what                                                                      | default         |
 * | ----------------- | ------------------------------------------------------------------------- | --------------- |
 * | `UNMASK_ENGINE`   | `auto`, `webgpu`, `cpu`, `wasm`, or `none` for a front                     | `auto`          |
 * | `UNMASK_MODEL`    | the model's folder; of a front, the model's name                          | `models/scenes` |
 * | `UNMASK_STORE`    | the address of a KV Connect server; with an engine also `:memory:`         | `:memory:`      |
 * | `UNMASK_AUTH`     | `keys`, or `open` to callers who use a name in `UNMASK_HOSTS` or loopback | `keys`          |
 * | `UNMASK_HOSTS`    | names, comma-separated                                                    | none            |
 * | `UNMASK_BASE_URL` | where callers find it, such as `https://unmask.example`                   | as they call it |
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { UnmaskError } from "../core/errors.ts";
import type { EngineOptions } from "../core/engine/choose.ts";
import { type AppOptions, createApp } from "./app.ts";
import { type Doors, doorsOf } from "./doors.ts";
import { type Observers, observers } from "./observe/observers.ts";

const ENGINES = ["auto", "webgpu", "cpu", "wasm", "none"] as const;

export interface EdgeSettings {
  readonly engine: (typeof ENGINES)[number];
  readonly model: string;
  readonly store: string;
  readonly auth: "keys" | "open";
  readonly hosts: readonly string[];
  readonly baseUrl: string | null;
}

/** @throws {UnmaskError} `setting_invalid` (500) */
export function edgeSettings(env: (name: string) => string | undefined): EdgeSettings {
  const choice = <T extends string>(name: string, choices: readonly T[], usual: T): T => {
    const value = env(name) ?? usual;
    const found = choices.find((each) => each === value);
    if (found === undefined) throw invalid(name, `use ${choices.join(", ")}`);
    return found;
  };
  const baseUrl = env("UNMASK_BASE_URL") ?? null;
  if (baseUrl !== null && !/^https?:\/\/[^/\s?#]+$/.test(baseUrl)) throw invalid("UNMASK_BASE_URL", "use https://HOST");
  return {
    engine: choice("UNMASK_ENGINE", ENGINES, "auto"),
    model: env("UNMASK_MODEL") ?? fileURLToPath(new URL("../models/scenes", import.meta.url)),
    store: env("UNMASK_STORE") ?? ":memory:",
    auth: choice("UNMASK_AUTH", ["keys", "open"], "keys"),
    hosts: (env("UNMASK_HOSTS") ?? "").split(",").map((name) => name.trim()).filter((name) => name !== ""),
    baseUrl,
  };
}

/** Of this process, as far as it may read it: what it may not read is not set. */
export function environment(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

export interface EdgeApp {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** The step at work ends, runs are saved and handed back, streams end. */
  close(): Promise<void>;
}

/** A model or store that does not open is told by each route. */
export function edgeApp(settings: EdgeSettings): EdgeApp {
  const { auth, hosts } = settings;
  const closing = new AbortController();
  const watching = observers();
  const opened = settings.engine === "none"
    ? openFrontDoors(settings, closing.signal)
    : openEngineDoors(settings, settings.engine, closing.signal, watching);
  const { doors, inference } = opened;
  const part = <T>(of: (doors: Doors) => T): Promise<T> => {
    const found = doors.then(of);
    // A door that did not open tells each of its callers why.
    found.catch(() => {});
    return found;
  };
  const app = createApp({
    ...(inference === undefined ? {} : { inference }),
    runs: part(({ runs }) => runs),
    hooks: part(({ hooks }) => hooks),
    protocols: part(({ protocols }) => protocols),
    metrics: watching.metrics,
    log,
    access: { policy: auth, hosts, keys: part(({ keys }) => keys) },
  });
  return {
    fetch: (request) => app.fetch(request),
    async close() {
      closing.abort();
      await opened.close();
    },
  };
}

interface Opened {
  readonly doors: Promise<Doors>;
  readonly inference?: NonNullable<AppOptions["inference"]>;
  close(): Promise<void>;
}

function openFrontDoors({ store, model, baseUrl }: EdgeSettings, closing: AbortSignal): Opened {
  const front = import("../core/runs/front.ts").then(({ openFront }) => openFront({ store }));
  return {
    doors: front.then((opened) => doorsOf(opened, { model: nameOf(model), baseUrl, closing })),
    close: () => front.then((opened) => opened.close(), () => {}),
  };
}

function openEngineDoors(
  { store, model: modelFolder, baseUrl }: EdgeSettings,
  provider: NonNullable<EngineOptions["provider"]>,
  closing: AbortSignal,
  { observe, onDelivery }: Observers,
): Opened {
  const inference = import("../core/tasks/remote.ts").then(({ openInference }) =>
    openInference({ modelFolder, provider })
  );
  inference.catch(() => {});
  const codec = import("../core/image/codec_thread.ts").then(({ codecThread }) => codecThread());
  const house = Promise.all([import("../core/runs/house.ts"), codec, inference])
    .then(([{ openHouse }, { encode }, opened]) =>
      openHouse({ inference: opened, modelFolder, store, encode, log, observe, onDelivery })
    );
  const open = async () => {
    const { encode, decode } = await codec;
    const { model, imageSize } = (await inference).info;
    return doorsOf(await house, { model, imageSize, baseUrl, encode, decode, closing });
  };
  const close = async () => {
    await house.then((opened) => opened.close(), () => {});
    await codec.then((opened) => opened.close());
    await inference.then((opened) => opened.close(), () => {});
  };
  return { doors: open(), inference, close };
}

function log(line: unknown): void {
  console.error(JSON.stringify(line));
}

function nameOf(model: string): string {
  return model.replace(/\/+$/, "").split("/").at(-1) ?? model;
}

function invalid(name: string, fix: string): UnmaskError {
  return new UnmaskError({
    code: "setting_invalid",
    message: `the environment variable ${name} is not what it should be`,
    fix,
    param: name,
    status: 500,
  });
}
