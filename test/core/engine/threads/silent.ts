/** A thread that never serves. */
export {};
