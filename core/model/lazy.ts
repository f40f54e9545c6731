/**
 * Something that is made when it is first asked for, once; a failure is not kept.
 *
 * @module
 */

export class Lazy<T> {
  readonly #make: () => Promise<T>;
  #made: Promise<T> | undefined;

  constructor(make: () => Promise<T>) {
    this.#make = make;
  }

  get(): Promise<T> {
    const made = this.#made ??= this.#make().catch((error: unknown) => {
      this.#made = undefined; // the next call tries again
      throw error;
    });
    return made;
  }

  /** What was made, if anything, given up: the next `get` makes it anew. */
  async taken(): Promise<T | undefined> {
    const made = this.#made;
    this.#made = undefined;
    return await made?.catch(() => undefined);
  }
}
