/**
 * From the start of a process to the first byte of its first answer.
 *
 * @module
 */
const ROOT = new URL("../../", import.meta.url);
/** Ms between two tries to connect. */
const TRY = 2;

/** Ms, of `deno serve FILE`. Any answer counts: a front that cannot reach its store answers too. */
export async function coldStart(file: string, env: Readonly<Record<string, string>>): Promise<number> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const start = performance.now();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["serve", "--no-prompt", "--no-check", "--allow-read", "--allow-env", "--allow-net", "--host", "127.0.0.1"]
      .concat("--port", String(port), file),
    cwd: ROOT,
    env,
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    for (;;) {
      try {
        const response = await fetch(`http://127.0.0.1:${port}/health`);
        const reader = response.body?.getReader();
        await reader?.read();
        const milliseconds = performance.now() - start;
        await reader?.cancel();
        return milliseconds;
      } catch {
        if (performance.now() - start > 60_000) throw new Error(`${file} gave no answer within a minute`);
        await new Promise((resolve) => setTimeout(resolve, TRY));
      }
    }
  } finally {
    process.kill("SIGKILL");
    await process.status;
  }
}
