/**
 * Against request forgery: an address that a run names must not lead into the network that the server stands in. The
 * server's own endpoints are its owner's word and are not looked at. A name that changes between this look and the
 * request can still get by, so a server in a network with secrets wants `--allow-net` narrowed too.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";

/** Names to addresses. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Why the address must not be called, or null. */
export async function forbidden(url: string, resolve: Resolve = resolveHost): Promise<string | null> {
  const { protocol, hostname } = new URL(url);
  if (protocol !== "https:") return "only https addresses are called";
  const host = hostname.replace(/^\[|\]$/g, "");
  if (isIPv4(host) || isIPv6(host)) return isPrivate(host) ? "its address is a private one" : null;
  let addresses: readonly string[];
  try {
    addresses = await resolve(host);
  } catch {
    return "its name has no address";
  }
  if (addresses.length === 0) return "its name has no address";
  return addresses.some(isPrivate) ? "its name leads to a private address" : null;
}

async function resolveHost(host: string): Promise<string[]> {
  const found = await Promise.allSettled([Deno.resolveDns(host, "A"), Deno.resolveDns(host, "AAAA")]);
  return found.flatMap((result) => result.status === "fulfilled" ? result.value : []);
}

/** Loopback, private, link-local, shared, multicast, reserved: all that is not a public host. */
export function isPrivate(address: string): boolean {
  if (isIPv4(address)) {
    const [a = 0, b = 0, c = 0] = address.split(".").map(Number);
    return a === 0 || a === 10 || a === 127 || a >= 224 || (a === 100 && b >= 64 && b < 128) ||
      (a === 169 && b === 254) || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) ||
      (a === 192 && b === 0 && (c === 0 || c === 2)) || (a === 198 && (b === 18 || b === 19));
  }
  const text = address.toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1];
  if (mapped !== undefined) return isPrivate(mapped);
  // Global unicast is 2000::/3; of it, 2001:db8::/32 is for examples, and 2002::/16 and 64:ff9b:: carry IPv4 addresses.
  return !/^[23][0-9a-f]{3}:/.test(text) || text.startsWith("2001:db8:") || text.startsWith("2002:");
}
