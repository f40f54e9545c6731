/**
 * The flags of a command: parsed strictly, described once. An unknown flag or a number that is none is an
 * `UnmaskError`, never ignored.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { UnmaskError } from "../../core/errors.ts";

export interface Flag {
  /** What follows the flag: text, a number, or nothing. */
  readonly kind: "text" | "number" | "switch";
  /** One line for `--help`. */
  readonly help: string;
}

/** What every command takes. */
export const COMMON_FLAGS = {
  json: { kind: "switch", help: "print one line of JSON on stdout" },
  help: { kind: "switch", help: "print this" },
} as const satisfies Readonly<Record<string, Flag>>;

type ValueOf<F extends Flag> = F["kind"] extends "switch" ? boolean : F["kind"] extends "number" ? number : string;

export type FlagValues<S extends Readonly<Record<string, Flag>>> = {
  readonly [K in keyof S]: S[K]["kind"] extends "switch" ? boolean : ValueOf<S[K]> | undefined;
};

export interface Parsed<S extends Readonly<Record<string, Flag>>> {
  readonly flags: FlagValues<S>;
  readonly positionals: readonly string[];
}

/**
 * ```ts
 * const { flags, positionals } = parseFlags(Deno.args, { ...COMMON_FLAGS, seed: { kind: "number", help: "…" } });
 * ```
 *
 * @throws `unknown_flag`, `flag_without_value`, `flag_not_a_number`
 */
export function parseFlags<const S extends Readonly<Record<string, Flag>>>(
  args: readonly string[],
  spec: S,
): Parsed<S> {
  const options = Object.fromEntries(
    Object.entries(spec).map((
      [name, flag],
    ) => [name, { type: flag.kind === "switch" ? "boolean" : "string" } as const]),
  );
  const parsed = parseStrictly(args, options, Object.keys(spec));
  const flags: Record<string, string | number | boolean | undefined> = {};
  for (const [name, flag] of Object.entries(spec)) {
    const value = parsed.values[name];
    flags[name] = flag.kind === "switch" ? value === true : flag.kind === "number" ? toNumber(name, value) : value;
  }
  return { flags: flags as FlagValues<S>, positionals: parsed.positionals };
}

/** A negative number after a flag looks like another flag to node's parser; `--guidance -1` shall reach the check. */
function joinNegativeNumbers(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const previous = joined.at(-1);
    const follows = previous !== undefined && /^--[a-z]/.test(previous) && !previous.includes("=");
    if (follows && /^-\d/.test(arg)) joined[joined.length - 1] = `${previous}=${arg}`;
    else joined.push(arg);
  }
  return joined;
}

function parseStrictly(
  args: readonly string[],
  options: Readonly<Record<string, { readonly type: "boolean" | "string" }>>,
  names: readonly string[],
): { values: Record<string, string | boolean | undefined>; positionals: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: joinNegativeNumbers(args),
      options,
      allowPositionals: true,
      strict: true,
    });
    return { values: values as Record<string, string | boolean | undefined>, positionals };
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
      throw new UnmaskError({
        code: "unknown_flag",
        message: (cause as Error).message.split(". ")[0] ?? "there is an unknown flag",
        fix: `the flags are ${names.map((name) => `--${name}`).join(" ")}`,
        cause,
      });
    }
    if (code === "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") {
      throw new UnmaskError({
        code: "flag_without_value",
        message: (cause as Error).message.split("\n")[0] ?? "a flag has no value, or one too many",
        fix: "write --flag VALUE, and switches without a value",
        cause,
      });
    }
    throw cause;
  }
}

function toNumber(name: string, value: string | boolean | undefined): number | undefined {
  if (value === undefined) return undefined;
  // Number("") and Number(" ") are 0, which nobody meant.
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : NaN;
  if (Number.isFinite(number)) return number;
  throw new UnmaskError({
    code: "flag_not_a_number",
    message: `--${name} takes a number`,
    fix: `write it in digits, such as --${name} 8`,
    param: name,
  });
}

/** The text of `--help`. */
export function usage(synopsis: string, spec: Readonly<Record<string, Flag>>): string {
  const width = Math.max(...Object.keys(spec).map((name) => name.length));
  const lines = Object.entries(spec).map(([name, flag]) => `  --${name.padEnd(width)}  ${flag.help}`);
  return [`usage: deno task ${synopsis}`, "", ...lines].join("\n");
}
