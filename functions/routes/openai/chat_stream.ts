/**
 * A conversation's answer as it comes: text block by block, since a block that is done does not change any more; pictures
 * and boxes at the end.
 *
 * @module
 */
import type { Context } from "hono";
import { toOpenAIError } from "../../middleware/errors.ts";
import { type Environment, requestIdOf } from "../../middleware/request_id.ts";
import { eventStream } from "../sse.ts";
import { CONVERSATIONAL, type Said, saidBy, saidInstead } from "./chat_answer.ts";
import { type Asked, failureOf, type OpenAIDoor } from "./door.ts";
import { cancelWithCaller, endedBy } from "./picture_stream.ts";

/** What all chunks of one stream share. */
export interface ChunkHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

export function streamChat(
  context: Context<Environment>,
  door: OpenAIDoor,
  asked: Asked,
  head: ChunkHead,
  withUsage: boolean,
): Response {
  const record = asked.accepted[0]?.record;
  if (record === undefined) throw new Error("a stream needs a run");
  const { runs, closing } = door;
  cancelWithCaller(context, door, asked);
  const chunks = new Chunks(head, withUsage);
  const options = { runs, ...(closing === undefined ? {} : { closing }) };
  return eventStream(context, record, options, async (event) => {
    if (event.type === "run.text") return chunks.text(String(event.data.text));
    const now = await endedBy(event, door, record);
    if (now === null) return null;
    if (now.state === "succeeded") return chunks.end(await saidBy(door, now));
    const failure = failureOf(now);
    if (CONVERSATIONAL.includes(failure.code)) return chunks.end(saidInstead(failure));
    return `data: ${JSON.stringify(toOpenAIError(failure, requestIdOf(context)))}`;
  });
}

/** The stream of an answer that is there already. */
export function streamSaid(said: Said, head: ChunkHead, withUsage: boolean): Response {
  return new Response(`${new Chunks(head, withUsage).end(said)}\n\n`, {
    headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" },
  });
}

class Chunks {
  readonly #head: ChunkHead;
  readonly #withUsage: boolean;
  #begun = false;
  #told = "";

  constructor(head: ChunkHead, withUsage: boolean) {
    this.#head = head;
    this.#withUsage = withUsage;
  }

  text(text: string): string {
    this.#told += text;
    return this.#delta({ content: text });
  }

  /** What was not told yet, the end, the usage if it was asked for, and OpenAI's own end of a stream. */
  end({ message: { content, ...more }, finish, usage }: Said): string {
    const rest = content.startsWith(this.#told) ? content.slice(this.#told.length) : "";
    const last = rest === "" && Object.keys(more).length === 0 && this.#begun
      ? []
      : [this.#delta({ content: rest, ...more })];
    const end = this.#line([{ index: 0, delta: {}, logprobs: null, finish_reason: finish }], null);
    const cost = this.#withUsage ? [this.#line([], usage)] : [];
    return [...last, end, ...cost, "data: [DONE]"].join("\n\n");
  }

  #delta(delta: object): string {
    const role = this.#begun ? {} : { role: "assistant" };
    this.#begun = true;
    return this.#line([{ index: 0, delta: { ...role, ...delta }, logprobs: null, finish_reason: null }], null);
  }

  #line(choices: readonly object[], usage: object | null): string {
    const shown = this.#withUsage ? { usage } : {};
    return `data: ${JSON.stringify({ ...this.#head, object: "chat.completion.chunk", choices, ...shown })}`;
  }
}
