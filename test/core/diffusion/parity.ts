/** The published implementation's numbers, test/parity/schedule.json. */
import { readFileSync } from "node:fs";

interface Schedule {
  readonly counts: readonly {
    n: number;
    steps: number;
    schedule: string | null;
    shift: number | null;
    counts: number[];
  }[];
  readonly orders: Readonly<Record<string, number[]>>;
  readonly temperatures: readonly {
    schedule_temp: string;
    schedule_temp_samp: string;
    steps: number;
    min_temperature: number;
    min_temperature_samp: number;
    shift: number;
    confidence_temperature: number[];
    sampling_temperature: number[];
  }[];
  readonly filters: readonly { top_k: number; top_p: number; logits: number[][]; kept: number[][] }[];
}

export const parity: Schedule = JSON.parse(
  readFileSync(new URL("../../parity/schedule.json", import.meta.url), "utf8"),
);
