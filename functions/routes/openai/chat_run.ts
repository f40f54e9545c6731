/**
 * Which run a conversation asks for. With `image` among the modalities the last message is drawn, or its picture edited;
 * otherwise it is answered; `unmask.task` says it outright.
 *
 * @module
 */
import { UnmaskError } from "../../../core/errors.ts";
import type { RunRequest } from "../../../core/runs/acceptance.ts";
import type { ChatInput, ChatTask } from "./chat_input.ts";
import type { ChatTurn, Conversation } from "./chat_messages.ts";

/** Tokens that are decoded together; a shorter answer is one block. */
const BLOCK = 16;

/** @throws {UnmaskError} `picture_missing`, `several_images_unsupported`, `option_unused`, `prompt_missing` */
export function runOf(input: ChatInput, { system, turns }: Conversation, seed: number): RunRequest {
  const last = turns.at(-1);
  if (last === undefined) throw new Error("a conversation has a last turn");
  const task = taskOf(input, last);
  refuseUnused(input, task);
  switch (task) {
    case "answer":
      return { task, input: answerOf(input, system, turns, last, seed) };
    case "ground":
      return { task, input: { picture: pictureOf(last), expressions: input.unmask?.expressions ?? [textOf(last)] } };
    case "draw":
      return { task, input: { prompt: textOf(last), seed, ...drawing(input) }, output: outputOf(input) };
    case "edit": {
      const edit = { instruction: textOf(last), picture: pictureOf(last), seed, ...drawing(input) };
      return { task, input: edit, output: outputOf(input) };
    }
  }
}

function taskOf({ unmask, modalities }: ChatInput, last: ChatTurn): ChatTask {
  if (unmask?.task !== undefined) return unmask.task;
  if (!(modalities ?? []).includes("image")) return "answer";
  return last.pictures.length > 0 ? "edit" : "draw";
}

function answerOf(
  input: ChatInput,
  system: string | null,
  turns: readonly ChatTurn[],
  last: ChatTurn,
  seed: number,
): Record<string, unknown> {
  const history = turns.slice(0, -1);
  const most = input.max_completion_tokens ?? input.max_tokens;
  const block = most == null ? undefined : Math.min(BLOCK, most);
  const given = {
    system: system ?? undefined,
    history: history.length === 0 ? undefined : history,
    pictures: last.pictures.length === 0 ? undefined : last.pictures,
    // Whole blocks, and no token more than was allowed.
    length: most == null || block === undefined ? undefined : most - most % block,
    block,
    temperature: input.temperature ?? undefined,
  };
  return { question: textOf(last), seed, ...defined(given) };
}

function drawing({ unmask, temperature }: ChatInput): Record<string, unknown> {
  const { steps, guidance, order } = unmask ?? {};
  return defined({ steps, guidance, order, temperature: temperature ?? undefined });
}

function outputOf({ unmask }: ChatInput) {
  const format = unmask?.output_format ?? "png";
  return format === "png" ? { format } : { format, quality: unmask?.output_compression ?? 100 };
}

/** What would be ignored is refused. */
function refuseUnused(input: ChatInput, task: ChatTask): void {
  const { unmask } = input;
  const draws = task === "draw" || task === "edit";
  const uses: readonly (readonly [name: string, given: unknown, used: boolean])[] = [
    ["max_tokens", input.max_tokens ?? undefined, task === "answer"],
    ["max_completion_tokens", input.max_completion_tokens ?? undefined, task === "answer"],
    ["temperature", input.temperature ?? undefined, task !== "ground"],
    ["seed", input.seed ?? undefined, task !== "ground"],
    ["unmask.steps", unmask?.steps, draws],
    ["unmask.guidance", unmask?.guidance, draws],
    ["unmask.order", unmask?.order, draws],
    ["unmask.output_format", unmask?.output_format, draws],
    ["unmask.output_compression", unmask?.output_compression, draws && (unmask?.output_format ?? "png") !== "png"],
    ["unmask.expressions", unmask?.expressions, task === "ground"],
  ];
  const unused = uses.find(([, given, used]) => given !== undefined && !used);
  if (unused === undefined) return;
  throw new UnmaskError({
    code: "option_unused",
    message: `\`${unused[0]}\` has no effect on the task ${task}`,
    fix: "leave it out",
    param: unused[0],
  });
}

function pictureOf({ pictures }: ChatTurn): Uint8Array {
  const [picture, ...more] = pictures;
  if (picture !== undefined && more.length === 0) return picture;
  throw new UnmaskError({
    code: picture === undefined ? "picture_missing" : "several_images_unsupported",
    message: picture === undefined ? "the last message has no picture" : "this model takes one picture at a time",
    fix: "send one picture with the last message",
    param: "messages",
  });
}

function textOf({ content }: ChatTurn): string {
  if (content.trim() !== "") return content;
  throw new UnmaskError({
    code: "prompt_missing",
    message: "the last message has no text",
    fix: "say in it what to do",
    param: "messages",
  });
}

function defined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
