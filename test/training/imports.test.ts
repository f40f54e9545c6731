/**
 * Stages of training import from each other by bare module names, and no test runs them (they need PyTorch): a name that
 * has moved would show hours into a run. So every name that a local module is asked for has to be there.
 */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";

interface Wanted {
  readonly module: string;
  /** Empty: the module alone. */
  readonly names: readonly string[];
}

/** What a file imports, at its top or within a function. */
function importsOf(source: string): Wanted[] {
  const plain = source.replaceAll(/#.*$/gm, "");
  const from = [...plain.matchAll(/^[ \t]*from (\w+) import (?:\(([^)]*)\)|(.+))$/gm)].map(([, module = "", a, b]) => ({
    module,
    names: (a ?? b ?? "").split(",").map((name) => name.trim().split(" as ")[0] ?? "").filter((name) => name !== ""),
  }));
  const whole = [...plain.matchAll(/^[ \t]*import (\w+)/gm)].map(([, module = ""]) => ({ module, names: [] }));
  return [...from, ...whole];
}

/** Names at the top of a module: functions, classes, constants and what it imports itself. */
function namesOf(source: string): Set<string> {
  const names = [...source.matchAll(/^(?:def|class) (\w+)/gm)].map(([, name = ""]) => name);
  const assigned = [...source.matchAll(/^([A-Za-z_][\w, ]*?)(?:: [^=\n]+)? = /gm)].flatMap(([, list = ""]) =>
    list.split(",").map((name) => name.trim())
  );
  return new Set([...names, ...assigned, ...importsOf(source).flatMap(({ module, names }) => [module, ...names])]);
}

async function sources(): Promise<Map<string, string>> {
  const paths = (await readdir("training", { recursive: true })).filter((path) =>
    path.endsWith(".py") && !path.startsWith("runs")
  );
  const read = async (path: string) => [path, await readFile(join("training", path), "utf8")] as const;
  return new Map(await Promise.all(paths.map(read)));
}

/** "file: module.name" of what is asked for and not there. */
function missing(files: ReadonlyMap<string, string>): string[] {
  const modules = new Map([...files].map(([path, source]) => [basename(path, ".py"), namesOf(source)]));
  return [...files].flatMap(([path, source]) =>
    importsOf(source).flatMap(({ module, names }) => {
      const there = modules.get(module);
      return there === undefined
        ? []
        : names.filter((name) => !there.has(name)).map((name) => `${path}: ${module}.${name}`);
    })
  );
}

test("every name that a stage imports from another module of training is there", async () => {
  const files = await sources();
  expect(files.size).toBeGreaterThan(40);
  const asked = [...files.values()].flatMap(importsOf).filter(({ module }) => files.has(`model/${module}.py`));
  expect(asked.length).toBeGreaterThan(50);
  expect(missing(files)).toEqual([]);
});

test("a name that has moved is found", () => {
  const files = new Map([
    ["model/teams.py", "from sight import Sight\nROW, COLUMN = 1, 2\nSIZE: int = 3\ndef words_of(x):\n    inner = 1\n"],
    ["model/sight.py", "class Sight:\n    pass\n"],
    ["model/stage.py", "import torch\nfrom teams import (ROW, COLUMN,  # noqa\n    SIZE, words_of, Sight, inner)\n"],
    ["model/late.py", "def main():\n    from teams import gone as here\n"],
  ]);
  expect(missing(files)).toEqual(["model/stage.py: teams.inner", "model/late.py: teams.gone"]);
});
