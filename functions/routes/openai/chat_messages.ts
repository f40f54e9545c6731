/**
 * Messages as the model takes them: turns of text and picture files, and the system message. Pictures come as data URLs,
 * and as addresses where this server fetches them.
 *
 * @module
 */
import { UnmaskError } from "../../../core/errors.ts";
import { MOST_FILES } from "../../../core/runs/input_files.ts";
import { type ChatMessage, isImage, isText } from "./chat_input.ts";

/** Fetches a picture from an address that a client names; null: this server fetches none. */
export type FetchPicture = (url: string) => Promise<Uint8Array>;

export interface ChatTurn {
  readonly role: "user" | "assistant";
  readonly content: string;
  /** Files. */
  readonly pictures: readonly Uint8Array[];
}

export interface Conversation {
  readonly system: string | null;
  /** The last one is the user's. */
  readonly turns: readonly ChatTurn[];
}

/**
 * @throws {UnmaskError} `tools_unsupported`, `role_unsupported`, `name_unsupported`, `content_part_unsupported`,
 * `message_empty`, `system_not_first`, `last_message_not_user`, and what pictures are refused for
 */
export async function conversationOf(
  messages: readonly ChatMessage[],
  fetchPicture: FetchPicture | null,
): Promise<Conversation> {
  const system: string[] = [];
  const turns: ChatTurn[] = [];
  let left = MOST_FILES;
  for (const [index, message] of messages.entries()) {
    const at = `messages[${index}]`;
    refuseTools(message, at);
    const { text, urls } = partsOf(message, at);
    if (message.role === "system" || message.role === "developer") {
      if (turns.length > 0) {
        throw wrong("system_not_first", `${at} is a system message behind others`, "put it first", at);
      }
      if (urls.length > 0) throw partUnsupported(at, "a system message is text");
      system.push(text);
      continue;
    }
    if (message.role !== "user" && message.role !== "assistant") {
      throw wrong("role_unsupported", `the role of ${at} is not supported`, "use system, user or assistant", at);
    }
    left -= urls.length;
    if (left < 0) {
      throw wrong("too_many_images", `there are more than ${MOST_FILES} pictures`, "send fewer", "messages");
    }
    const pictures: Uint8Array[] = [];
    for (const url of urls) pictures.push(await pictureOf(url, at, fetchPicture));
    turns.push({ role: message.role, content: text, pictures });
  }
  if (turns.at(-1)?.role !== "user") {
    const fix = "end with a message of the role user";
    throw wrong("last_message_not_user", "the last message is not the user's", fix, "messages");
  }
  return { system: system.length === 0 ? null : system.join("\n"), turns };
}

function refuseTools(message: ChatMessage, at: string): void {
  const calls = (message.tool_calls?.length ?? 0) > 0 || message.function_call != null || message.tool_call_id != null;
  if (calls || message.role === "tool" || message.role === "function") {
    throw wrong("tools_unsupported", `${at} is about tools`, "leave it out: this model calls no tools", at);
  }
  if (message.name != null) {
    throw wrong("name_unsupported", `${at} has a name`, "leave it out, or say it in the text", at);
  }
}

function partsOf(message: ChatMessage, at: string): { readonly text: string; readonly urls: readonly string[] } {
  const { content } = message;
  const parts = typeof content === "string" ? [{ type: "text" as const, text: content }] : content ?? [];
  const texts: string[] = [];
  const urls: string[] = [];
  for (const part of [...parts, ...message.images ?? []]) {
    if (isText(part)) texts.push(part.text);
    else if (isImage(part)) {
      if (!["auto", "high"].includes(part.image_url.detail ?? "auto")) {
        throw wrong("detail_unsupported", `the detail of a picture in ${at} is not supported`, "use auto or high", at);
      }
      urls.push(part.image_url.url);
    } else throw partUnsupported(at, "a part of it is neither text nor a picture");
  }
  const text = texts.join("\n");
  if (text === "" && urls.length === 0) {
    throw wrong("message_empty", `${at} says nothing`, "give it a content", at);
  }
  return { text, urls };
}

async function pictureOf(url: string, at: string, fetchPicture: FetchPicture | null): Promise<Uint8Array> {
  const base64 = /^data:[\w./+-]*(?:;[\w=-]+)*;base64,/i.exec(url);
  if (base64 !== null) {
    try {
      return Uint8Array.fromBase64(url.slice(base64[0].length));
    } catch {
      throw wrong("image_invalid", `a picture in ${at} is not base64`, "send the file's bytes in base64", at);
    }
  }
  if (!/^https?:/i.test(url)) {
    const fix = "send a data URL, such as data:image/png;base64,…";
    throw wrong("image_url_unsupported", `a picture in ${at} has an address of another kind`, fix, at);
  }
  if (fetchPicture === null) {
    const fix = "send it as a data URL; or start the server with --fetch-images";
    throw wrong("image_url_not_allowed", "this server fetches no pictures", fix, at);
  }
  return await fetchPicture(url);
}

function partUnsupported(at: string, what: string): UnmaskError {
  return wrong(
    "content_part_unsupported",
    `${at} cannot be read: ${what}`,
    "send parts of type text and image_url",
    at,
  );
}

function wrong(code: string, message: string, fix: string, param: string): UnmaskError {
  return new UnmaskError({ code, message, fix, param });
}
