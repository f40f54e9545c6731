/** A command line in a shell, and what came of it. */

export function shell(command: string, cwd: string): Deno.Command {
  const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
  return new Deno.Command("sh", { args: ["-c", command], cwd, ...streams });
}

/** The text up to and with `end`; all of it if the stream ends first. The stream then stays open and is read no more. */
export async function readUntil(stream: ReadableStream<Uint8Array>, end: string): Promise<string> {
  const reader = stream.getReader(), decoder = new TextDecoder();
  let text = "";
  while (!text.includes(end)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text;
}

export function isPng(bytes: Uint8Array): boolean {
  return [0x89, 0x50, 0x4e, 0x47].every((byte, index) => bytes[index] === byte);
}
