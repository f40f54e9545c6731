import { describe, expect, it } from "vitest";
import { startCommand } from "../../commands/start.ts";
import { UnmaskError } from "../../core/errors.ts";
import { codecDouble, type Double, double, IMAGES, json } from "../functions/double.ts";
import { collect } from "./collect.ts";

/** Starts on a free port; resolves with its address once it has announced itself. */
function started(inference: Double, codec = codecDouble) {
  const controller = new AbortController();
  const { promise: url, resolve } = Promise.withResolvers<string>();
  const command = startCommand(() => Promise.resolve(inference), codec);
  const ended = collect(
    (args, context) =>
      command(args, {
        ...context,
        announce: (line) => {
          resolve(String(line.url));
          context.announce(line);
        },
      }),
    ["--port", "0", "--store", ":memory:", "--json"],
    { signal: controller.signal },
  );
  return { url, ended, stop: () => controller.abort(new DOMException("interrupted", "AbortError")) };
}

describe("start", () => {
  it("serves on loopback, says where in one line of JSON, and stops when told, closing model and codec", async () => {
    let [closed, codecs] = [0, 0];
    const { url, ended, stop } = started(
      { ...double(), close: () => Promise.resolve(void closed++) },
      { ...codecDouble, close: () => Promise.resolve(void codecs++) },
    );
    const address = await url;
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const response = await fetch(`${address}${IMAGES}`, json({ prompt: "a dog" }));
    expect(response.status).toBe(200);
    await response.body?.cancel();
    stop();
    const { code, stdout, stderr } = await ended;
    expect([code, closed, codecs]).toEqual([0, 1, 1]);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ url: address, model: "scenes", provider: "cpu", device: "a test" });
    expect(stderr).toContain(`ready: ${address}`);
    await expect(fetch(`${address}/health`)).rejects.toThrow();
  });

  it("fails with the model's own error, and does not stay up", async () => {
    const missing = new UnmaskError({ code: "weights_missing", message: "no weights", fix: "fetch them", status: 500 });
    const command = startCommand(() => Promise.reject(missing), codecDouble);
    const { code, stdout } = await collect(command, ["--port", "0", "--store", ":memory:", "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error).toMatchObject({ code: "weights_missing", fix: "fetch them" });
  });

  it("ends when it cannot draw what --draw asks for, closing the model", async () => {
    let closed = 0;
    const refusal = new UnmaskError({ code: "unknown_words", message: "no unicorns", fix: "a horse", param: "prompt" });
    const inference = { ...double({ fail: refusal }), close: () => Promise.resolve(void closed++) };
    const command = startCommand(() => Promise.resolve(inference), codecDouble);
    const { code, stdout } = await collect(command, ["--port", "0", "--draw", "a photo of a unicorn", "--json"]);
    expect([code, closed]).toEqual([2, 1]);
    expect(JSON.parse(stdout).error).toMatchObject({ code: "unknown_words", fix: "a horse" });
  });

  it("names a port that is in use", async () => {
    const { url, ended, stop } = started(double());
    const port = new URL(await url).port;
    const command = startCommand(() => Promise.resolve(double()), codecDouble);
    const { code, stdout } = await collect(command, ["--port", port, "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error).toMatchObject({ code: "port_in_use", param: "port" });
    stop();
    await ended;
  });

  it("warns when the network can reach it", async () => {
    const failed = () => Promise.reject(new UnmaskError({ code: "stop", message: "stop here", fix: "-" }));
    const network = ["--host", "0.0.0.0", "--port", "0"];
    const open = await collect(startCommand(failed, codecDouble), [...network, "--auth", "open"]);
    expect(open.stderr).toContain("warning: 0.0.0.0 is open");
    const keyed = await collect(startCommand(failed, codecDouble), network);
    expect(keyed.stderr).not.toContain("warning");
    const closed = await collect(startCommand(failed, codecDouble), ["--host", "::1", "--port", "0"]);
    expect(closed.stderr).not.toContain("warning");
  });

  it.each<[string, readonly string[], string]>([
    ["a port out of range", ["--port", "70000"], "port_out_of_range"],
    ["an argument", ["now"], "unexpected_argument"],
    ["an unknown way to answer", ["--auth", "maybe"], "auth_unknown"],
    ["an origin with a path", ["--origins", "https://a.example/x"], "origin_invalid"],
    ["no rate", ["--rate", "0"], "rate_out_of_range"],
    ["an unknown flag", ["--listen"], "unknown_flag"],
  ])("refuses %s", async (_, args, code) => {
    const result = await collect(startCommand(() => Promise.resolve(double()), codecDouble), [...args, "--json"]);
    expect([result.code, JSON.parse(result.stdout).error.code]).toEqual([2, code]);
  });
});
