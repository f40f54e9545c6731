/**
 * What this process holds, by Linux's account; null elsewhere.
 *
 * @module
 */

/** Bytes. */
export interface Memory {
  readonly resident: number;
  /** Of it: not backed by a file. */
  readonly anonymous: number;
  /** Largest `resident` since the last {@link resetPeak}. */
  readonly peak: number;
}

export async function memory(): Promise<Memory | null> {
  const text = await Deno.readTextFile("/proc/self/status").catch(() => null);
  if (text === null) return null;
  const bytes = (key: string) => 1024 * Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? NaN);
  return { resident: bytes("VmRSS"), anonymous: bytes("RssAnon"), peak: bytes("VmHWM") };
}

/** Begins a new peak. */
export async function resetPeak(): Promise<void> {
  await Deno.writeTextFile("/proc/self/clear_refs", "5").catch(() => undefined);
}
