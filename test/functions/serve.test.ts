import { afterEach, describe, expect, it } from "vitest";
import { serve, type Server } from "../../functions/serve.ts";
import { type Double, double, doubleOptions, IMAGES, json } from "./double.ts";

let server: Server | undefined;
afterEach(async () => {
  await server?.shutdown();
  server = undefined;
});

function listen(inference: Double): string {
  server = serve({ ...doubleOptions(inference), port: 0 });
  return server.url;
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > end) throw new Error("waited 5 s in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("a real server on a real port", () => {
  it("draws, serves its page and its health", async () => {
    const url = listen(double());
    const answer = await (await fetch(`${url}${IMAGES}`, json({ prompt: "a dog", seed: 7 }))).json();
    expect(answer.data[0].seed).toBe(7);
    expect(await (await fetch(url, { headers: { accept: "text/html" } })).text()).toContain("<title>unmask</title>");
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ ready: true });
  });

  it("ends the draw of a client that leaves, and lets the next one draw", async () => {
    const inference = double({ stepMilliseconds: 10 });
    const url = listen(inference);
    const controller = new AbortController();
    const left = fetch(`${url}${IMAGES}`, { ...json({ prompt: "a dog", steps: 200 }), signal: controller.signal });
    await until(() => inference.seen.requests.length === 1);
    controller.abort();
    await expect(left).rejects.toThrow();
    const runs = async () => (await (await fetch(`${url}/v1/runs`)).json()).data;
    await expect.poll(async () => (await runs())[0].status, { timeout: 10_000 }).toBe("cancelled");
    const next = await fetch(`${url}${IMAGES}`, json({ prompt: "a dog", steps: 2 }));
    expect(next.status).toBe(200);
    await next.body?.cancel();
    expect(inference.seen.finished).toBe(1);
  });

  it("does not abort a draw whose answer was read to its end", async () => {
    const inference = double({ stepMilliseconds: 1 });
    const url = listen(inference);
    for (let index = 0; index < 3; index++) {
      await (await fetch(`${url}${IMAGES}`, json({ prompt: "a dog", steps: 2 }))).json();
    }
    expect(inference.seen.finished).toBe(3);
  });

  it("refuses an oversized chunked body while it comes in", async () => {
    const url = listen(double());
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        sent += 8192;
        if (sent > 4_000_000) controller.close();
        else controller.enqueue(new Uint8Array(8192).fill(0x20));
      },
    });
    const init = { method: "POST", headers: { "content-type": "application/json" }, body, ...{ duplex: "half" } };
    const response = await fetch(`${url}${IMAGES}`, init);
    expect(response.status).toBe(413);
    expect((await response.json()).error.code).toBe("body_too_large");
    expect(sent).toBeLessThan(4_000_000);
  });
});
