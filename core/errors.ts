/**
 * The one error class of the project. Every failure that a user can meet is an `UnmaskError`: a stable code, what is
 * wrong, and what to type to mend it. `functions/middleware/errors.ts` is the one place that turns it into each
 * protocol's shape; `commands/` prints it.
 *
 * @module
 */

/** What an error carries; see design.md, "Errors". */
export interface ErrorDetails {
  /** Stable, snake_case, documented; clients may switch on it. */
  readonly code: string;
  /** What is wrong, in one sentence, without paths of this machine. */
  readonly message: string;
  /** What to do about it, in one sentence. */
  readonly fix: string;
  /** The offending parameter, where there is one. */
  readonly param?: string;
  /** HTTP status that the doors answer with. @default {400} */
  readonly status?: number;
  /** Seconds after which trying again may help; the doors' `Retry-After`. */
  readonly retryAfter?: number;
  readonly cause?: unknown;
}

/**
 * ```ts
 * import { UnmaskError } from "./errors.ts";
 * throw new UnmaskError({ code: "steps_out_of_range", message: "steps is 0", fix: "use 1 to 256", param: "steps" });
 * ```
 */
export class UnmaskError extends Error {
  readonly code: string;
  readonly fix: string;
  readonly param: string | undefined;
  readonly status: number;
  readonly retryAfter: number | undefined;

  constructor(details: ErrorDetails) {
    super(details.message, { cause: details.cause });
    this.name = "UnmaskError";
    this.code = details.code;
    this.fix = details.fix;
    this.param = details.param;
    this.status = details.status ?? 400;
    this.retryAfter = details.retryAfter;
  }
}
