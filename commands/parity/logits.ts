/**
 * Logits against what the reference keeps of them: the largest values and their ids, every n-th column, the logarithm of
 * the sum.
 *
 * @module
 */
import type { CaseFile } from "./case_file.ts";
import type { CaseReport } from "./report.ts";

/**
 * @param logits [positions, vocabulary]
 * @param stem `case/name`, before `.top_ids` and the others
 */
export async function checkLogits(
  file: CaseFile,
  report: CaseReport,
  stem: string,
  logits: Float32Array,
  positions: number,
  limit: number,
): Promise<void> {
  const size = logits.length / positions;
  const what = stem.slice(stem.indexOf("/") + 1);
  const row = (position: number) => logits.subarray(position * size, (position + 1) * size);
  const compare = async (tensor: string, values: (expected: Float32Array) => ArrayLike<number>) => {
    if (!file.has(`${stem}.${tensor}`)) return;
    const expected = await file.floats(`${stem}.${tensor}`);
    report.close(`${what}.${tensor}`, values(expected), expected, limit);
  };
  if (file.has(`${stem}.top_ids`)) {
    const ids = await file.integers(`${stem}.top_ids`);
    const most = ids.length / positions;
    await compare("top_values", () => Float32Array.from(ids, (id, i) => row(Math.floor(i / most))[id] ?? NaN));
    // The named ids have these values; that no other id has a larger one:
    if (file.has(`${stem}.top_values`)) {
      const largest = Float32Array.from(
        { length: ids.length },
        (_, i) => nthLargest(row(Math.floor(i / most)), most, i % most),
      );
      report.close(`${what}.largest`, largest, await file.floats(`${stem}.top_values`), limit);
    }
  }
  await compare("logsumexp", () => Float32Array.from({ length: positions }, (_, position) => logSumExp(row(position))));
  await compare("columns", (expected) => {
    // Every n-th column from 0: how many there are says n.
    const stride = Math.ceil(size / (expected.length / positions));
    const columns = Math.ceil(size / stride);
    return Float32Array.from(
      { length: positions * columns },
      (_, i) => row(Math.floor(i / columns))[(i % columns) * stride] ?? NaN,
    );
  });
  await compare("full", () => logits);
  await compare("full_first", () => row(0));
}

const sorted = new WeakMap<ArrayBufferLike, Map<number, Float32Array>>();

function nthLargest(row: Float32Array, most: number, n: number): number {
  const rows = sorted.get(row.buffer) ?? new Map<number, Float32Array>();
  sorted.set(row.buffer, rows);
  const known = rows.get(row.byteOffset) ?? row.slice().sort().slice(-most).reverse();
  rows.set(row.byteOffset, known);
  return known[n] ?? NaN;
}

function logSumExp(row: Float32Array): number {
  let highest = -Infinity;
  for (const value of row) highest = Math.max(highest, value);
  let sum = 0;
  for (const value of row) sum += Math.exp(value - highest);
  return highest + Math.log(sum);
}
