/**
 * Where a graph's time goes, and the multiply-adds that it really ran, from the runtime's own profile.
 *
 * @module
 */
import { z } from "zod";

const shapes = z.array(z.record(z.string(), z.array(z.number()))).default([]);
const events = z.array(z.object({
  cat: z.string(),
  name: z.string(),
  dur: z.number(),
  args: z.object({ op_name: z.string().optional(), input_type_shape: shapes, output_type_shape: shapes })
    .partial().default({}),
}));

export interface GraphProfile {
  readonly runs: number;
  /** Milliseconds a run, from the call to its end. */
  readonly milliseconds: number;
  /** Multiply-adds a run in products, convolutions and attention. */
  readonly multiplyAdds: number;
  /** Share of all kernels' time by operator, largest first. */
  readonly operators: readonly { readonly operator: string; readonly share: number }[];
}

/** @param text the JSON that the runtime wrote for one session */
export function readProfile(text: string): GraphProfile {
  const all = events.parse(JSON.parse(text));
  const runs = all.filter(({ name }) => name === "model_run");
  const times = new Map<string, number>();
  let [total, multiplyAdds] = [0, 0];
  for (const { cat, name, dur, args } of all) {
    if (cat !== "Node" || !name.endsWith("_kernel_time")) continue;
    const operator = args.op_name ?? "unknown";
    times.set(operator, (times.get(operator) ?? 0) + dur);
    total += dur;
    multiplyAdds += work(operator, dims(args.input_type_shape), dims(args.output_type_shape));
  }
  return {
    runs: runs.length,
    milliseconds: runs.reduce((sum, { dur }) => sum + dur, 0) / 1000 / runs.length,
    multiplyAdds: multiplyAdds / runs.length,
    operators: [...times].map(([operator, time]) => ({ operator, share: time / total }))
      .sort((a, b) => b.share - a.share),
  };
}

function dims(
  list: readonly Readonly<Record<string, readonly number[]>>[] | undefined,
): readonly (readonly number[])[] {
  return (list ?? []).map((entry) => Object.values(entry)[0] ?? []);
}

/** A MatMul's right side is packed away, so its size is that of the left side's last dimension times the output. */
function work(
  operator: string,
  inputs: readonly (readonly number[])[],
  outputs: readonly (readonly number[])[],
): number {
  const size = (shape: readonly number[] = []) => shape.reduce((product, dim) => product * dim, 1);
  if (operator === "MatMul" || operator === "MatMulNBits") return (inputs[0]?.at(-1) ?? 0) * size(outputs[0]);
  // Each output is a sum over a weight's channels and kernel.
  if (operator.endsWith("Conv")) return size(outputs[0]) * size(inputs[1]?.slice(1));
  // Scores and weighted sum: queries x keys x width, twice.
  if (operator === "MultiHeadAttention") return 2 * size(outputs[0]) * (inputs[1]?.[1] ?? 0);
  return 0;
}
