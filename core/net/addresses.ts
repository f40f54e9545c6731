/**
 * Which addresses are a public host's. Sources: IANA's special-purpose registries of IPv4 and IPv6 addresses.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";

/** Loopback, private, link-local, shared, multicast, reserved, translated: all that is not a public host; also no address. */
export function isPrivate(address: string): boolean {
  if (isIPv4(address)) {
    const [a = 0, b = 0, c = 0] = address.split(".").map(Number);
    return a === 0 || a === 10 || a === 127 || a >= 224 || (a === 100 && b >= 64 && b < 128) ||
      (a === 169 && b === 254) || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) ||
      (a === 192 && b === 0 && (c === 0 || c === 2)) || (a === 192 && b === 88 && c === 99) ||
      (a === 198 && (b === 18 || b === 19)) || (a === 198 && b === 51 && c === 100) ||
      (a === 203 && b === 0 && c === 113);
  }
  const text = address.toLowerCase();
  // A zone names an interface of this machine.
  if (!isIPv6(text) || text.includes("%")) return true;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1];
  if (mapped !== undefined) return isPrivate(mapped);
  const [first = 0, second = 0] = text.split(":").map((group) => parseInt(group || "0", 16));
  // Global unicast is 2000::/3; of it 2001::/23 (Teredo and other protocols), 2001:db8::/32 and 3fff::/20 (examples) and
  // 2002::/16 (which carries IPv4 addresses) are not hosts.
  return first < 0x2000 || first > 0x3fff || (first === 0x2001 && (second < 0x200 || second === 0xdb8)) ||
    first === 0x2002 || (first === 0x3fff && second < 0x1000);
}
