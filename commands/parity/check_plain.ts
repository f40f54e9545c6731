/**
 * Reference numbers that need no network: schedules, orders, temperatures, filters, prompts.
 *
 * @module
 */
import { applyFilter, FilterScratch } from "../../core/diffusion/filter.ts";
import { stratifiedOrder } from "../../core/diffusion/order/stratified.ts";
import { counts, type ScheduleName } from "../../core/diffusion/schedule.ts";
import { decay, type DecayName } from "../../core/diffusion/temperature.ts";
import { chatText, encodeWithImages, IMAGE_PLACEHOLDER, type Message } from "../../core/model/chat_template.ts";
import { editPlanText, judgeText, planText } from "../../core/model/prompts.ts";
import type { CaseFile, Json } from "./case_file.ts";
import { CaseReport } from "./report.ts";
import { standInTokenizer } from "./stand_in_tokenizer.ts";

/** One unit in the last place of an fp32 number below 1. */
const LAST_PLACE = 2 ** -24;

interface Counts {
  readonly n: number;
  readonly steps: number;
  readonly schedule: ScheduleName | null;
  readonly shift: number | null;
  readonly counts?: readonly number[];
  readonly error?: unknown;
}

interface Temperatures {
  readonly schedule_temp: DecayName;
  readonly schedule_temp_samp: DecayName;
  readonly steps: number;
  readonly min_temperature: number;
  readonly min_temperature_samp: number;
  readonly shift: number;
  readonly confidence_temperature: readonly number[];
  readonly sampling_temperature: readonly number[];
}

interface Filters {
  readonly top_k: number;
  readonly top_p: number;
  readonly logits: readonly number[][];
  readonly kept: readonly number[][];
}

export function checkSchedule({ name: file, json }: CaseFile): CaseReport[] {
  const list = <T>(key: string) => (json[key] ?? []) as readonly T[];
  const counted = list<Counts>("counts").map((entry) => {
    const { n, steps, schedule, shift } = entry;
    const report = new CaseReport(file, `counts ${n}/${steps} ${schedule ?? "none"} ${shift ?? ""}`.trim());
    const make = () => counts(n, steps, schedule ?? "none", shift ?? 1);
    if (entry.counts !== undefined) report.equal("counts", make(), entry.counts);
    else expectRefusal(report, make);
    return report;
  });
  const ordered = Object.entries((json["orders"] ?? {}) as Readonly<Record<string, number[]>>).map(([key, order]) => {
    const report = new CaseReport(file, `order ${key}`);
    const [, n, seed] = /^n(\d+)_seed(\d+)$/.exec(key) ?? [];
    if (n === undefined || seed === undefined) report.fail("order", "its name says neither size nor seed");
    else report.equal("order", stratifiedOrder(Number(n), Number(seed)), order);
    return report;
  });
  const falling = list<Temperatures>("temperatures").map((entry) => {
    const report = new CaseReport(file, `temperatures ${entry.schedule_temp}/${entry.schedule_temp_samp}`);
    const series = (name: DecayName, minimum: number) =>
      Array.from({ length: entry.steps }, (_, i) => decay(name, i + 1, entry.steps, minimum, entry.shift));
    const confidence = series(entry.schedule_temp, entry.min_temperature);
    const sampling = series(entry.schedule_temp_samp, entry.min_temperature_samp);
    report.within("confidence_temperature", confidence, entry.confidence_temperature, LAST_PLACE);
    report.within("sampling_temperature", sampling, entry.sampling_temperature, LAST_PLACE);
    return report;
  });
  const filtered = list<Filters>("filters").map((entry) => {
    const report = new CaseReport(file, `filter ${entry.top_k}/${entry.top_p}`);
    for (const [i, row] of entry.logits.entries()) {
      const logits = Float32Array.from(row);
      applyFilter(logits, { topK: entry.top_k, topP: entry.top_p }, new FilterScratch(row.length));
      const kept = [...logits.keys()].filter((id) => logits[id] !== -Infinity);
      report.equal(`kept ${i}`, kept, [...entry.kept[i] ?? []].sort((a, b) => a - b));
    }
    return report;
  });
  return [...counted, ...ordered, ...falling, ...filtered];
}

function expectRefusal(report: CaseReport, make: () => unknown): void {
  try {
    make();
    report.fail("refusal", "it was accepted, the release refuses it");
  } catch {
    report.equal("refusal", [], []);
  }
}

export function checkPrompts({ name: file, json }: CaseFile): CaseReport[] {
  const tokenizer = standInTokenizer();
  return (json["cases"] as readonly Json[]).map((entry, index) => {
    const report = new CaseReport(file, `${index} ${entry["task"]}`);
    const text = promptText(entry);
    if (text === undefined) {
      report.fail("task", `nothing here makes a prompt for ${entry["task"]}`);
      return report;
    }
    report.text("text", text, String(entry["text"]));
    const pictures = text.split(IMAGE_PLACEHOLDER).length - 1;
    const ids = encodeWithImages(text, tokenizer, new Array<number>(pictures).fill(1));
    report.equal("ids", ids, entry["ids"] as number[]);
    return report;
  });
}

/** A caption belongs to the task that the entry names; a user message is taken as it is. */
function promptText({ task, caption, micro, user, assistant }: Json): string | undefined {
  if (typeof caption === "string") {
    if (task === "plan") return planText(caption, typeof micro === "string" ? micro : "");
    if (task === "plan_edit") return editPlanText(caption);
    if (task === "judge") return judgeText(caption);
  }
  if (typeof user !== "string") return undefined;
  const messages: Message[] = [{ role: "user", content: user }];
  if (typeof assistant === "string") messages.push({ role: "assistant", content: assistant });
  return chatText(messages);
}
