/**
 * The app on a port of this machine, with the model in the same process: HTTP here, inference in a thread of its own.
 * Loopback unless told otherwise; who is answered is `access`'s matter.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import { type AppOptions, createApp } from "./app.ts";

export const DEFAULT_HOST = "127.0.0.1";
export const DEFAULT_PORT = 8000;

export interface ServeOptions extends AppOptions {
  /** @default {"127.0.0.1"} */
  readonly host?: string;
  /** 0 takes any free port. @default {8000} */
  readonly port?: number;
}

export interface Server {
  /** Where a browser finds it. */
  readonly url: string;
  /** Settles when the server has stopped. */
  readonly finished: Promise<void>;
  /** Lets the requests at work end, takes no new ones. */
  shutdown(): Promise<void>;
}

/**
 * Listens at once, also while the model is loading: `/health` tells loading from dead.
 *
 * @throws `port_in_use`, `address_unavailable` (status 500)
 */
export function serve(options: ServeOptions): Server {
  const app = createApp(options);
  const { host = DEFAULT_HOST, port = DEFAULT_PORT } = options;
  try {
    const server = Deno.serve({ hostname: host, port, onListen: () => {} }, app.fetch);
    const name = server.addr.hostname.includes(":") ? `[${server.addr.hostname}]` : server.addr.hostname;
    return {
      url: `http://${name}:${server.addr.port}`,
      finished: server.finished,
      shutdown: () => server.shutdown(),
    };
  } catch (cause) {
    const inUse = cause instanceof Deno.errors.AddrInUse;
    throw new UnmaskError({
      code: inUse ? "port_in_use" : "address_unavailable",
      message: inUse ? `port ${port} is already in use` : `cannot listen on ${host}:${port}`,
      fix: inUse ? "stop what uses it, or choose another with --port" : "name an address of this machine with --host",
      param: inUse ? "port" : "host",
      status: 500,
      cause,
    });
  }
}
