/** The seed that was given, or a new one of 32 random bits: short enough to be typed again. */
export function seedOf(given: number | undefined): number {
  return given ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
