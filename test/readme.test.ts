/**
 * README's commands, run as they stand there: `npx -y deno@2` is this Deno, and port 8000 a free one. A command that this
 * test does not know fails it.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { PROMPTS } from "../docs/make_picture.ts";
import { DEFAULT_PORT } from "../functions/serve.ts";
import { isPng, readUntil, shell } from "./readme_shell.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const README = await Deno.readTextFile(`${ROOT}/README.md`);
const CARD = await Deno.readTextFile(`${ROOT}/models/scenes/README.md`);
const NPX = "npx -y deno@2";
const ADDRESS = `http://localhost:${DEFAULT_PORT}`;
const MINUTES = 60_000;

const blocks = [...README.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = "", text = ""]) => ({
  language,
  text,
}));
const ofLanguage = (language: string) => blocks.filter((block) => block.language === language).map(({ text }) => text);
const commands = ofLanguage("sh").flatMap((text) => text.split("\n").filter((line) => line.trim() !== ""));
const programs = ofLanguage("ts");

const hasNpx = (await shell("command -v npx", ROOT).output()).success;

/** Written by README's commands into the root, put back afterwards. */
const WRITTEN = ["picture.png", "cake.png", "found.png"];
const before = new Map<string, Uint8Array<ArrayBuffer> | undefined>();

let server: Deno.ChildProcess | undefined;
/** The first command's line of --json. */
let started: { url: string; out?: string; draw_seconds?: number } = { url: "" };
let address = "";

beforeAll(async () => {
  for (const name of WRITTEN) {
    before.set(name, await Deno.readFile(`${ROOT}/${name}`).catch(() => undefined));
    await Deno.remove(`${ROOT}/${name}`).catch(() => {});
  }
  // exec: the signal that ends it shall reach the task, not a shell around it.
  server = shell(`exec ${here(commands[0] ?? "")} --port 0 --json`, ROOT).spawn();
  started = JSON.parse(await readUntil(server.stdout, "\n"));
  address = `http://localhost:${new URL(started.url).port}`;
}, 5 * MINUTES);

afterAll(async () => {
  server?.kill("SIGTERM");
  await server?.status;
  for (const [name, bytes] of before) {
    if (bytes === undefined) await Deno.remove(`${ROOT}/${name}`).catch(() => {});
    else await Deno.writeFile(`${ROOT}/${name}`, bytes);
  }
});

/** A command of README on this machine, against this test's server. */
function here(command: string): string {
  return command.replace(NPX, `'${Deno.execPath()}'`).replaceAll(ADDRESS, address);
}

async function run(command: string): Promise<string> {
  const { code, stdout, stderr } = await shell(here(command), ROOT).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  expect(code, `${command}\n${out}\n${err}`).toBe(0);
  return out ?? "";
}

function pngOf(dataUrl: string): Uint8Array {
  return Uint8Array.fromBase64(dataUrl.replace("data:image/png;base64,", ""));
}

/** What each kind of command must do. The first that fits is used. */
const KNOWN: readonly (readonly [RegExp, (command: string) => Promise<void>])[] = [
  [/ task start /, async (command) => {
    expect(command).toBe(commands[0]);
    expect(started.out).toBe("picture.png");
    expect(started.draw_seconds).toBeGreaterThan(0);
    expect(isPng(await Deno.readFile(`${ROOT}/picture.png`))).toBe(true);
    const page = await fetch(address, { headers: { accept: "text/html" } });
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(await page.text()).toContain("<form");
  }],
  [/ task test$/, async (command) => {
    // Itself is running under it; here a file that is quick shows that the command works. `dot` writes no report.
    const output = await run(`${command} --reporter=dot test/core/diffusion/philox.test.ts`);
    expect(stripVTControlCharacters(output)).toMatch(/Tests +\d+ passed/);
  }],
  [/^curl .*\/v1\/images\/generations /, async (command) => {
    const answer = JSON.parse(await run(command));
    expect(isPng(Uint8Array.fromBase64(answer.data[0].b64_json))).toBe(true);
  }],
  [/^curl .*\/v1\/chat\/completions /, async (command) => {
    const [image] = JSON.parse(await run(command)).choices[0].message.images;
    expect(isPng(pngOf(image.image_url.url))).toBe(true);
  }],
  [/^curl .*\/predictions /, async (command) => {
    const prediction = JSON.parse(await run(command));
    expect([prediction.status, isPng(pngOf(prediction.output))]).toEqual(["succeeded", true]);
  }],
  [/^curl .*\/runsync /, async (command) => {
    const job = JSON.parse(await run(command));
    expect([job.status, isPng(pngOf(job.output))]).toEqual(["COMPLETED", true]);
  }],
  [/^curl .*\/openapi\.json$/, async (command) => {
    const { openapi, paths } = JSON.parse(await run(command));
    expect(openapi).toBe("3.1.0");
    expect(paths).toHaveProperty(["/predictions"]);
  }],
  [/^curl .*\/health$/, async (command) => {
    expect(JSON.parse(await run(command))).toMatchObject({ ready: true, model: "scenes" });
  }],
  [/ task draw .*--out cake\.png$/, async (command) => {
    await run(command);
    const first = await Deno.readFile(`${ROOT}/cake.png`);
    expect(isPng(first)).toBe(true);
    expect(JSON.parse(await run(`${command} --json`))).toMatchObject({ out: "cake.png", width: 256, height: 256 });
    expect(await Deno.readFile(`${ROOT}/cake.png`)).toEqual(first);
  }],
  [/ task ask cake\.png /, async (command) => {
    expect(JSON.parse(await run(`${command} --json`))).toMatchObject({ answer: "the cake", truncated: false });
  }],
  [/ task find cake\.png "the chair" --out found\.png$/, async (command) => {
    const { boxes } = JSON.parse(await run(`${command} --json`));
    expect(boxes).toMatchObject([{ label: "the chair", found: true }]);
    expect(isPng(await Deno.readFile(`${ROOT}/found.png`))).toBe(true);
  }],
  [/ task eval t2i --n 12$/, async (command) => {
    const report = JSON.parse(await run(`${command} --json`));
    expect(report.n).toBe(12);
    expect(Object.keys(report.kinds)).toHaveLength(6);
  }],
  [/ task bench draw .*--no-torch$/, async (command) => {
    const report = JSON.parse(await run(`${command} --json`));
    expect(Object.keys(report.sides)).toEqual(["runtime"]);
    expect(report.pictures).toBe(1);
  }],
  [/ task doctor$/, async (command) => {
    expect(await run(`${command} --json`)).toContain("cpu");
  }],
];

describe("README's commands", () => {
  it("come from blocks that this test runs", () => {
    expect(blocks.map(({ language }) => language).filter((language) => !["sh", "ts"].includes(language))).toEqual([]);
    expect(commands[0]).toContain("task start");
    expect(commands[1]).toBe(`${NPX} task test`);
  });

  it.each(commands)("%s", async (command) => {
    const known = KNOWN.find(([pattern]) => pattern.test(command));
    if (known === undefined) throw new Error(`this test does not know how to run: ${command}`);
    await known[1](command);
  }, 10 * MINUTES);

  it.each(programs.map((text, index) => [`${index + 1}`, text]))("program %s", async (_, program) => {
    const folder = await Deno.makeTempDir();
    try {
      expect(program).toContain(ADDRESS);
      await Deno.writeTextFile(`${folder}/program.ts`, here(program));
      const { code, stderr } = await shell(`'${Deno.execPath()}' run -A program.ts`, folder).output();
      expect(code, new TextDecoder().decode(stderr)).toBe(0);
      expect(isPng(await Deno.readFile(`${folder}/bird.png`))).toBe(true);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }, 10 * MINUTES);

  it.skipIf(!hasNpx)("run through npm's Deno", async () => {
    const { code, stdout } = await shell(`${NPX} --version`, ROOT).output();
    expect(code).toBe(0);
    expect(new TextDecoder().decode(stdout)).toMatch(/^deno 2\./);
  }, 5 * MINUTES);
});

describe("README's words", () => {
  it("name flags, tasks and files that exist", async () => {
    const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
    for (const [, name] of README.matchAll(/(?:deno|deno@2) task ([a-z:]+)/g)) {
      expect(tasks).toHaveProperty([name ?? ""]);
    }
    for (const [, path = ""] of README.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      await expect(Deno.stat(`${ROOT}/${path}`), path).resolves.toBeDefined();
    }
  });

  it("name the versions of packages that this repository uses", async () => {
    const { imports } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
    const named = [...README.matchAll(/npm:([\w-]+)@[\d.]+/g)];
    expect(named.length).toBeGreaterThan(0);
    for (const [specifier, name = ""] of named) expect(imports[name]).toBe(specifier);
  });

  it("list the prompts of the picture", () => {
    const listed = [...README.replace(/\s+/g, " ").matchAll(/"(a photo of [^"]+)"/g)].map(([, prompt]) => prompt);
    expect(listed).toEqual(expect.arrayContaining([...PROMPTS]));
    const caption = /^_(Seed 7.*?)_$/ms.exec(README)?.[1]?.replace(/\s+/g, " ") ?? "";
    expect([...caption.matchAll(/"([^"]+)"/g)].map(([, prompt]) => prompt)).toEqual(PROMPTS);
  });

  it.each([["README", README], ["the model card", CARD]])("leave nothing to be filled in: %s", (_, text) => {
    expect(text).not.toMatch(/\{\{|TODO|FIXME/);
  });
});
