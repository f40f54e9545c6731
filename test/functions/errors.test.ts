import { describe, expect, it } from "vitest";
import { UnmaskError } from "../../core/errors.ts";
import type { OpenAIErrorBody } from "../../functions/middleware/errors.ts";
import { appWith, double, IMAGES, json } from "./double.ts";

/** The answer must be OpenAI's error object, whole, with the request's id in it and in the header. */
async function expectError(
  response: Response,
  expected: { readonly status: number; readonly code: string; readonly param?: string; readonly fix?: RegExp },
) {
  const body: OpenAIErrorBody = await response.json();
  expect([response.status, body.error.code, body.error.param]).toEqual([
    expected.status,
    expected.code,
    expected.param ?? null,
  ]);
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  expect(body.error.request_id).toMatch(/^req_[0-9a-f]{32}$/);
  expect(response.headers.get("x-request-id")).toBe(body.error.request_id);
  expect(body.error.type).toBe(expected.status < 500 ? "invalid_request_error" : "server_error");
  expect(body.error.message.length).toBeGreaterThan(5);
  expect(body.error.fix).toMatch(expected.fix ?? /.{5}/);
  return body.error;
}

const good = { prompt: "a photo of a dog" };

describe("fields that cannot be honoured", () => {
  it.each<[string, unknown, { status?: number; code: string; param?: string; fix?: RegExp }]>([
    ["no prompt", {}, { code: "missing_required_parameter", param: "prompt" }],
    ["an empty prompt", { prompt: "" }, { code: "prompt_empty", param: "prompt" }],
    ["a blank prompt", { prompt: " \n " }, { code: "prompt_empty", param: "prompt" }],
    ["an overlong prompt", { prompt: "a dog ".repeat(400) }, {
      code: "prompt_too_long",
      param: "prompt",
      fix: /at most/,
    }],
    ["a lone surrogate", { prompt: "a \ud800 dog" }, { code: "prompt_not_text", param: "prompt" }],
    ["a control character", { prompt: "a \u0000 dog" }, { code: "prompt_not_text", param: "prompt" }],
    ["a prompt of another type", { prompt: 5 }, { code: "invalid_type", param: "prompt", fix: /string/ }],
    ["a control token", { prompt: "a <|eot_id|> dog" }, { code: "prompt_reserved", param: "prompt" }],
    ["unknown words", { prompt: "a unicorn" }, { code: "unknown_words", param: "prompt", fix: /dog, / }],
    ["an unknown field", { ...good, mask: "x" }, { code: "unknown_parameter", param: "mask", fix: /prompt, model/ }],
    ["__proto__", JSON.parse('{"prompt":"a dog","__proto__":{}}'), { code: "unknown_parameter", param: "__proto__" }],
    ["another size", { ...good, size: "1024x1024" }, { code: "size_unsupported", param: "size", fix: /256x256/ }],
    ["a size of no sense", { ...good, size: "big" }, { code: "size_unsupported", param: "size", fix: /256x256/ }],
    ["another model", { ...good, model: "dall-e-3" }, {
      status: 404,
      code: "model_not_found",
      param: "model",
      fix: /scenes/,
    }],
    ["n 0", { ...good, n: 0 }, { code: "n_out_of_range", param: "n" }],
    ["n 11", { ...good, n: 11 }, { code: "n_out_of_range", param: "n" }],
    ["n 1.5", { ...good, n: 1.5 }, { code: "n_out_of_range", param: "n" }],
    ["n as text", { ...good, n: "1" }, { code: "invalid_type", param: "n", fix: /number/ }],
    ["quality hd", { ...good, quality: "hd" }, { code: "quality_unsupported", param: "quality" }],
    ["a transparent background", { ...good, background: "transparent" }, {
      code: "background_unsupported",
      param: "background",
    }],
    ["moderation low", { ...good, moderation: "low" }, { code: "moderation_unsupported", param: "moderation" }],
    ["style natural", { ...good, style: "natural" }, { code: "style_unsupported", param: "style" }],
    ["a stream of two", { ...good, stream: true, n: 2 }, { code: "stream_n_unsupported", param: "n" }],
    ["a stream of links", { ...good, stream: true, response_format: "url" }, {
      code: "stream_url_unsupported",
      param: "response_format",
    }],
    ["partial images without a stream", { ...good, partial_images: 2 }, {
      code: "partial_images_unsupported",
      param: "partial_images",
    }],
    ["4 partial images", { ...good, stream: true, partial_images: 4 }, {
      code: "partial_images_out_of_range",
      param: "partial_images",
    }],
    ["stream as text", { ...good, stream: "yes" }, { code: "invalid_type", param: "stream" }],
    ["an overlong user", { ...good, user: "u".repeat(513) }, { code: "user_too_long", param: "user" }],
    ["response_format hex", { ...good, response_format: "hex" }, {
      code: "response_format_unsupported",
      param: "response_format",
      fix: /b64_json/,
    }],
    ["output_format gif", { ...good, output_format: "gif" }, {
      code: "output_format_unsupported",
      param: "output_format",
    }],
    ["output_compression 101", { ...good, output_format: "webp", output_compression: 101 }, {
      code: "output_compression_out_of_range",
      param: "output_compression",
    }],
    ["a compressed png", { ...good, output_compression: 50 }, {
      code: "output_compression_unsupported",
      param: "output_compression",
    }],
    ["a negative seed", { ...good, seed: -1 }, { code: "seed_out_of_range", param: "seed" }],
    ["a seed past exact numbers", { ...good, seed: 2 ** 53 }, { code: "seed_out_of_range", param: "seed" }],
    ["seeds that run past exact numbers", { ...good, seed: 2 ** 53 - 1, n: 2 }, {
      code: "seed_out_of_range",
      param: "seed",
    }],
    ["0 steps", { ...good, steps: 0 }, { code: "steps_out_of_range", param: "steps" }],
    ["257 steps", { ...good, steps: 257 }, { code: "steps_out_of_range", param: "steps" }],
    ["guidance -1", { ...good, guidance: -1 }, { code: "guidance_out_of_range", param: "guidance" }],
    ["guidance 21", { ...good, guidance: 21 }, { code: "guidance_out_of_range", param: "guidance" }],
    ["an unknown order", { ...good, order: "raster" }, { code: "order_unknown", param: "order", fix: /halton/ }],
    ["an array", [good], { code: "invalid_type" }],
    ["null", null, { code: "invalid_type" }],
  ])("refuses %s", async (_, body, expected) => {
    const inference = double();
    const error = await expectError(await appWith(inference).request(IMAGES, json(body)), { status: 400, ...expected });
    expect(JSON.stringify(error)).not.toMatch(/ZodError|file:\/\/|\.ts\b/);
    expect(inference.seen.requests).toEqual([]);
  });
});

describe("bodies", () => {
  const post = (body: BodyInit | null, contentType: string | null = "application/json"): RequestInit => ({
    method: "POST",
    headers: { "x-unmask": "1", ...(contentType === null ? {} : { "content-type": contentType }) },
    body,
  });

  it.each([["half an object", '{"prompt": '], ["an empty body", ""], ["no UTF-8", new Uint8Array([0x22, 0xff, 0x22])]])(
    "refuses %s",
    async (_, body) => {
      await expectError(await appWith().request(IMAGES, post(body)), { status: 400, code: "invalid_json" });
    },
  );

  it.each(["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", null])(
    "refuses the content type %s",
    async (contentType) => {
      const body = new TextEncoder().encode(JSON.stringify(good));
      await expectError(await appWith().request(IMAGES, post(body, contentType)), {
        status: 415,
        code: "unsupported_media_type",
        fix: /application\/json/,
      });
    },
  );

  it("accepts JSON with a charset", async () => {
    const response = await appWith().request(IMAGES, post(JSON.stringify(good), "application/json; charset=UTF-8"));
    expect(response.status).toBe(200);
  });

  it("refuses a body that says it is too large before reading it", async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({ pull: () => void pulled++ }, { highWaterMark: 0 });
    const request = post(body);
    const response = await appWith().request(IMAGES, {
      ...request,
      headers: { "content-type": "application/json", "content-length": "65537" },
      ...{ duplex: "half" },
    });
    await expectError(response, { status: 413, code: "body_too_large", fix: /less/ });
    expect(pulled).toBe(0);
  });

  it("stops reading an endless body at the limit", async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(1024).fill(0x20));
      },
    });
    const response = await appWith(double(), { limits: { bodyBytes: 10_000 } }).request(IMAGES, {
      ...post(body),
      ...{ duplex: "half" },
    });
    await expectError(response, { status: 413, code: "body_too_large" });
    expect(pulled).toBeLessThan(20);
  });

  it("does not wait for a body that never ends", async () => {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
    const response = await appWith(double(), { limits: { bodyMilliseconds: 30 } }).request(IMAGES, {
      ...post(body),
      ...{ duplex: "half" },
    });
    await expectError(response, { status: 408, code: "body_timeout" });
  });
});

describe("routes", () => {
  it.each(["/v1/images", "/nothing", "/v1/images/generations/", "/playground/../deno.json"])(
    "knows nothing at %s",
    async (path) => {
      await expectError(await appWith().request(path), { status: 404, code: "unknown_route" });
    },
  );

  it.each([["GET", IMAGES, "POST"], ["DELETE", IMAGES, "POST"], ["POST", "/health", "GET, HEAD"], [
    "PUT",
    "/",
    "GET, HEAD",
  ]])("refuses %s %s", async (method, path, allow) => {
    const response = await appWith().request(path, { method });
    expect(response.headers.get("allow")).toBe(allow);
    await expectError(response, { status: 405, code: "method_not_allowed" });
  });
});

describe("failures", () => {
  it("keeps a library's message to itself", async () => {
    const inference = double({ fail: new TypeError("cannot open /home/somebody/secret.safetensors") });
    const error = await expectError(await appWith(inference).request(IMAGES, json(good)), {
      status: 500,
      code: "internal_error",
    });
    expect(JSON.stringify(error)).not.toContain("secret");
  });

  it("answers 503 with Retry-After when too many wait, and draws again when they are done", async () => {
    const inference = double({ stepMilliseconds: 20 });
    const app = appWith(inference, { admission: { queue: 1, trust: 0 } });
    const first = app.request(IMAGES, json(good));
    await expect.poll(() => inference.seen.requests.length, { timeout: 10_000 }).toBe(1);
    const second = await app.request(IMAGES, json(good));
    expect(second.headers.get("retry-after")).toBe("2");
    await expectError(second, { status: 503, code: "queue_full", fix: /Retry-After/ });
    expect((await first).status).toBe(200);
    expect((await app.request(IMAGES, json(good))).status).toBe(200);
  });

  it("queues all pictures of a request, or none", async () => {
    const inference = double({ stepMilliseconds: 2 });
    const app = appWith(inference, { admission: { perOwner: 2 } });
    const refused = await app.request(IMAGES, json({ ...good, n: 3 }));
    await expectError(refused, { status: 429, code: "too_many_runs" });
    const states = async () => {
      const { data } = await (await app.request("/v1/runs")).json();
      return data.map(({ status }: { status: string }) => status);
    };
    await expect.poll(states, { timeout: 10_000 }).toEqual(["cancelled", "cancelled"]);
  });

  it("passes the reason on when the model could not be opened", async () => {
    const missing = new UnmaskError({ code: "weights_missing", message: "no weights", fix: "fetch", status: 500 });
    const failed = Promise.reject<never>(missing);
    failed.catch(() => {});
    const app = appWith(failed);
    await expectError(await app.request(IMAGES, json(good)), { status: 500, code: "weights_missing" });
    const health = await app.request("/health");
    expect([health.status, await health.json()]).toMatchObject([503, { status: "failed", live: true, ready: false }]);
  });
});
