/**
 * The dry run's figures as text.
 *
 * @module
 */
import type { SyntheticSize } from "./synthetic.ts";

export interface ConvertFigures {
  readonly seconds: number;
  /** On disk. */
  readonly bytes: number;
  /** Largest resident set; null where it cannot be read. */
  readonly peak: number | null;
}

export interface GraphFigures {
  readonly graph: string;
  /** Of its weights. */
  readonly bytes: number;
  readonly runs: number;
  /** A run, on average. */
  readonly seconds: number;
  /** A run, on average; MatMul, MatMulNBits, convolutions and attention, from the shapes that ran. */
  readonly multiplyAdds: number;
  readonly operators: readonly { readonly operator: string; readonly share: number }[];
}

export interface RunFigures {
  readonly part: "draw" | "understand";
  /** The machine's fp32 GEMM, multiply-adds a second. */
  readonly rate: number;
  readonly loadSeconds: number;
  readonly loadedBytes: number;
  /** What the resident set grew by while loading; mapped files count as far as they were read. */
  readonly residentLoaded: number | null;
  readonly peak: number | null;
  readonly seconds: Readonly<Record<string, number>>;
  readonly check: {
    readonly compared: number;
    readonly error: number;
    readonly examples: readonly { readonly found: number; readonly wanted: number }[];
    readonly seconds: number;
  } | null;
  readonly graphs: readonly GraphFigures[];
}

export function table(size: SyntheticSize, converted: ConvertFigures | null, runs: readonly RunFigures[]): string {
  const lines = [
    `published architecture / ${size.scale}${size.layers === undefined ? "" : `, ${size.layers} layers`}, int4`,
  ];
  if (converted !== null) {
    lines.push(
      `converting           ${seconds(converted.seconds)}   on disk ${gigabytes(converted.bytes)}   peak ${
        gibibytes(converted.peak)
      }`,
    );
  }
  for (const run of runs) {
    lines.push(
      `${run.part.padEnd(20)} loading ${seconds(run.loadSeconds)}   weights ${gigabytes(run.loadedBytes)}   resident ${
        gigabytes(run.residentLoaded)
      }   peak ${gibibytes(run.peak)}   prepacking on`,
    );
    lines.push(`  fp32 GEMM ${(run.rate / 1e9).toFixed(1)} G multiply-adds/s`);
    for (const [what, time] of Object.entries(run.seconds)) lines.push(`  ${what.padEnd(24)} ${seconds(time)}`);
    for (const graph of run.graphs) lines.push(graphLine(graph, run.rate));
    if (run.check !== null) {
      const { compared, error, examples } = run.check;
      const pairs = examples.map(({ found, wanted }) => `${found.toFixed(6)} (${wanted.toFixed(6)})`).join(", ");
      lines.push(`  ${compared} logits against fp64: largest error ${error.toExponential(1)} of their range; ${pairs}`);
    }
  }
  return lines.join("\n");
}

function graphLine({ graph, bytes, runs, seconds: time, multiplyAdds, operators }: GraphFigures, rate: number): string {
  const work = multiplyAdds > 0
    ? `${(multiplyAdds / 1e12).toFixed(3)} T multiply-adds, ${(100 * multiplyAdds / time / rate).toFixed(0)} % of GEMM`
    : "not run";
  const most = operators.slice(0, 3).map(({ operator, share }) => `${operator} ${(100 * share).toFixed(0)} %`).join(
    ", ",
  );
  return `  ${graph.padEnd(14)} ${gigabytes(bytes)}  ${runs} x ${seconds(time)}  ${work}  ${most}`;
}

const seconds = (value: number) => `${value.toFixed(1)} s`;
const gigabytes = (bytes: number | null) => bytes === null ? "?" : `${(bytes / 1e9).toFixed(3)} GB`;
const gibibytes = (bytes: number | null) => bytes === null ? "?" : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
