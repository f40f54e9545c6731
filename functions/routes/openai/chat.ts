/**
 * `POST /v1/chat/completions`: a conversation's next message, as a view of one run.
 *
 * @module
 */
import type { Context } from "hono";
import { UnmaskError } from "../../../core/errors.ts";
import { mediaLimits, readJson } from "../../middleware/limits.ts";
import type { Environment } from "../../middleware/request_id.ts";
import { CONVERSATIONAL, type Said, saidBy, saidInstead } from "./chat_answer.ts";
import { parseChatInput } from "./chat_input.ts";
import { conversationOf } from "./chat_messages.ts";
import { runOf } from "./chat_run.ts";
import { type ChunkHead, streamChat, streamSaid } from "./chat_stream.ts";
import { ask, type Asked, finished, type OpenAIRoute, seedFor } from "./door.ts";

export async function completeChat(
  context: Context<Environment>,
  { opening, limits }: OpenAIRoute,
): Promise<Response> {
  const body = await readJson(context.req.raw, mediaLimits(limits));
  const door = await opening;
  const input = parseChatInput(body, door.model);
  const conversation = await conversationOf(input.messages, door.fetchPicture ?? null);
  const streams = input.stream === true;
  const withUsage = input.stream_options?.include_usage === true;
  if (input.stream_options != null && !streams) throw streamOptionsUnused();
  const head = (id: string): ChunkHead => ({
    id: `chatcmpl-${id}`,
    created: Math.floor(Date.now() / 1000),
    model: door.model,
  });

  let asked: Asked;
  try {
    asked = await ask(context, door, [runOf(input, conversation, input.seed ?? seedFor(context))], streams);
  } catch (refusal) {
    const said = insteadOf(refusal);
    const own = head(crypto.randomUUID());
    return streams ? streamSaid(said, own, withUsage) : completion(context, said, own);
  }
  const id = asked.accepted[0]?.record.id ?? "";
  if (streams) return streamChat(context, door, asked, head(id), withUsage);
  try {
    const [record] = await finished(context, door, asked);
    if (record === undefined) throw new Error("a completion needs a run");
    return completion(context, await saidBy(door, record), head(id));
  } catch (failure) {
    return completion(context, insteadOf(failure), head(id));
  }
}

function completion(context: Context<Environment>, { message, finish, usage }: Said, head: ChunkHead): Response {
  const choice = {
    index: 0,
    message: { role: "assistant", refusal: null, ...message },
    logprobs: null,
    finish_reason: finish,
  };
  return context.json({ ...head, object: "chat.completion", choices: [choice], usage }, 200, {
    "cache-control": "no-store",
  });
}

/** What is said where a model without the words would fail; everything else is thrown on, in OpenAI's words. */
function insteadOf(thrown: unknown): Said {
  if (!(thrown instanceof UnmaskError)) throw thrown;
  if (CONVERSATIONAL.includes(thrown.code)) return saidInstead(thrown);
  if (thrown.code !== "prompt_too_long") throw thrown;
  const { message, fix } = thrown;
  throw new UnmaskError({ code: "context_length_exceeded", message, fix, param: "messages" });
}

function streamOptionsUnused(): UnmaskError {
  return new UnmaskError({
    code: "stream_options_unsupported",
    message: "stream_options has no effect without a stream",
    fix: "leave it out, or set stream to true",
    param: "stream_options",
  });
}
