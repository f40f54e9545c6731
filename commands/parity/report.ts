/**
 * What was compared and how it went: one comparison at a time, one row a case.
 *
 * @module
 */

export interface Comparison {
  readonly what: string;
  readonly ok: boolean;
  /** Of real numbers: largest absolute difference over the largest absolute expected value. */
  readonly relativeError?: number;
  /** The relative error is the margin of a tie that was decided the other way. */
  readonly tied?: true;
  /** Of exact things: where they first differ, and how. */
  readonly difference?: string;
}

/** All comparisons of one case. */
export class CaseReport {
  readonly file: string;
  readonly name: string;
  readonly comparisons: Comparison[] = [];
  readonly graphs = new Set<string>();
  /** Set if the case is one of those that nothing needs. */
  optional: string | undefined;

  constructor(file: string, name: string) {
    this.file = file;
    this.name = name;
  }

  get ok(): boolean {
    return this.optional !== undefined || (this.comparisons.length > 0 && this.comparisons.every(({ ok }) => ok));
  }

  /** Real numbers within a share of the largest expected one. */
  close(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>, limit: number): void {
    const relativeError = largestError(actual, expected);
    this.comparisons.push({ what, relativeError, ok: relativeError <= limit });
  }

  /** Real numbers within a share of `range`: of differences, whose error is that of larger numbers. */
  scaled(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>, range: number, limit: number): void {
    const relativeError = largestDifference(actual, expected) / range;
    this.comparisons.push({ what, relativeError, ok: relativeError <= limit });
  }

  /** Exact things that differ and are let pass as ties: always told, whatever the margin. */
  tied(what: string, relativeError: number, limit: number): void {
    this.comparisons.push({ what, relativeError, tied: true, ok: relativeError <= limit });
  }

  /** Numbers within an absolute difference; `unit` says of what. */
  within(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>, limit: number): void {
    const place = firstWhere(actual, expected, (a, e) => !(Math.abs(a - e) <= limit));
    this.#exact(what, place, actual, expected);
  }

  /** The same numbers in the same places. */
  equal(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
    this.#exact(what, firstWhere(actual, expected, (a, e) => a !== e), actual, expected);
  }

  /** The same text. */
  text(what: string, actual: string, expected: string): void {
    const place = [...expected, ""].findIndex((letter, i) => letter !== (actual[i] ?? ""));
    const difference = `character ${place}`;
    this.comparisons.push(actual === expected ? { what, ok: true } : { what, ok: false, difference });
  }

  fail(what: string, difference: string): void {
    this.comparisons.push({ what, ok: false, difference });
  }

  #exact(what: string, place: number | undefined, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
    if (place === undefined) this.comparisons.push({ what, ok: true });
    else {
      const difference = `at ${place}: ${actual[place] ?? "nothing"}, expected ${expected[place] ?? "nothing"}`;
      this.comparisons.push({ what, ok: false, difference });
    }
  }
}

function firstWhere(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  differs: (a: number, e: number) => boolean,
): number | undefined {
  const shorter = Math.min(actual.length, expected.length);
  for (let i = 0; i < shorter; i++) if (differs(actual[i] as number, expected[i] as number)) return i;
  return actual.length === expected.length ? undefined : shorter;
}

/** Largest absolute difference; Infinity for other lengths or NaN. */
function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length || expected.length === 0) return Infinity;
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((actual[i] as number) - (expected[i] as number));
    if (Number.isNaN(difference)) return Infinity;
    error = Math.max(error, difference);
  }
  return error;
}

/** Largest absolute difference over the largest absolute expected value; Infinity for other lengths or NaN. */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const error = largestDifference(actual, expected);
  let range = 0;
  for (let i = 0; i < expected.length; i++) range = Math.max(range, Math.abs(expected[i] as number));
  return error === 0 ? 0 : range === 0 ? Infinity : error / range;
}

/** The table: a row for each case, misses below it. */
export function table(reports: readonly CaseReport[]): string {
  const rows = reports.map((report) => [
    report.optional !== undefined ? "skip" : report.ok ? "pass" : "MISS",
    `${report.file}/${report.name}`,
    String(report.comparisons.length),
    worst(report),
    [...report.graphs].join(", "),
  ]);
  const head = ["", "case", "compared", "largest relative error or first difference", "graphs"];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd();
  const misses = reports.filter(({ ok }) => !ok).flatMap((report) =>
    report.comparisons.filter(({ ok }) => !ok).map((miss) =>
      `  ${report.file}/${report.name}: ${miss.what}: ${miss.difference ?? `error ${figure(miss.relativeError)}`}`
    )
  );
  const empty = reports.filter((report) => report.optional === undefined && report.comparisons.length === 0)
    .map((report) => `  ${report.file}/${report.name}: nothing of it could be compared`);
  const bad = [...misses, ...empty];
  const ties = reports.flatMap((report) =>
    report.comparisons.filter(({ ok, tied }) => ok && tied).map(({ what, relativeError }) =>
      `  ${report.file}/${report.name}: ${what}: margin ${figure(relativeError)}`
    )
  );
  return [
    line(head),
    ...rows.map(line),
    ...(bad.length === 0 ? [] : ["", "misses:", ...bad]),
    ...(ties.length === 0 ? [] : ["", "not equal, let pass as ties:", ...ties]),
  ].join("\n");
}

function worst({ comparisons, optional }: CaseReport): string {
  if (optional !== undefined) return optional;
  const difference = comparisons.find((each) => each.difference !== undefined);
  if (difference !== undefined) return `${difference.what} ${difference.difference}`;
  const [first, ...rest] = comparisons.filter((each) => each.relativeError !== undefined);
  if (first === undefined) return "exact";
  const most = rest.reduce((a, b) => (b.relativeError ?? 0) > (a.relativeError ?? 0) ? b : a, first);
  return `${figure(most.relativeError)} (${most.what})`;
}

function figure(value = NaN): string {
  return value.toExponential(1);
}
