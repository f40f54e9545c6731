/**
 * Against request forgery: an address that somebody else names must not lead into the network that the server stands in.
 * The name is looked up once, every address that it has is looked at, and the call goes to one that was looked at
 * (call.ts), so a name that changes in between (DNS rebinding) leads nowhere else.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { isPrivate } from "./addresses.ts";

/** Names to addresses. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export interface GuardOptions {
  /** @default {["https:"]} */
  readonly protocols?: readonly string[];
  /** @default the system's */
  readonly resolve?: Resolve;
  /** Addresses that must not be called. @default isPrivate; tests let loopback through */
  readonly forbidden?: (address: string) => boolean;
}

export interface Route {
  readonly url: URL;
  /** Where to connect, whatever the name says later. */
  readonly address: string;
}

/** Why an address is not called; for people, without what the lookup found. */
export class Refused extends Error {}

/** @throws {Refused} */
export async function routeTo(target: string, options: GuardOptions = {}): Promise<Route> {
  const { protocols = ["https:"], resolve = resolveHost, forbidden = isPrivate } = options;
  let url: URL;
  try {
    url = new URL(target);
  } catch {
    throw new Refused("it is no address");
  }
  if (!protocols.includes(url.protocol)) {
    throw new Refused(`only ${protocols.map((name) => name.slice(0, -1)).join(" and ")} addresses are called`);
  }
  if (url.username !== "" || url.password !== "") throw new Refused("it holds a name or password");
  // URLs write every form of an IPv4 address (decimal, octal, hexadecimal) in the one that isIP knows.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0) {
    if (forbidden(host)) throw new Refused("its address is a private one");
    return { url, address: host };
  }
  let addresses: readonly string[];
  try {
    addresses = await resolve(host);
  } catch {
    throw new Refused("its name has no address");
  }
  const [address] = addresses;
  if (address === undefined) throw new Refused("its name has no address");
  if (addresses.some(forbidden)) throw new Refused("its name leads to a private address");
  return { url, address };
}

async function resolveHost(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
