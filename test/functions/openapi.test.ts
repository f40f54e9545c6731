import { afterEach, beforeEach, expect, test } from "vitest";
import { createApp } from "../../functions/app.ts";
import { observers } from "../../functions/observe/observers.ts";
import { openApiDocument, OPERATIONS } from "../../functions/openapi/document.ts";
import { type RealServer, realServer } from "./real_server.ts";

let server: RealServer;
beforeEach(async () => {
  server = await realServer({ observers: observers() });
});
afterEach(() => server.stop());

const never = Promise.withResolvers<never>().promise;

/** Every route that is mounted when all doors are open, with `{name}` for parameters. */
function mounted(): string[] {
  const app = createApp({
    inference: never,
    runs: never,
    hooks: never,
    protocols: never,
    metrics: observers().metrics,
    access: { policy: "open", keys: never },
  });
  const named = (path: string) => path.replace(/:(\w+)(\{[^/]+\})?/g, "{$1}");
  return [...new Set(app.routes.map(({ method, path }) => `${method.toLowerCase()} ${named(path)}`))]
    .filter((route) => !route.startsWith("all "))
    .toSorted();
}

/** Files of pages, which are no API. */
const PAGES = ["/favicon.svg", "/docs/style.css", "/docs/page.js", "/playground/style.css", "/playground/page.js"];

test("the document and the mounted routes are the same", () => {
  const documented = OPERATIONS.map(({ method, path }) => `${method} ${path}`).toSorted();
  expect(mounted().filter((route) => !PAGES.includes(route.split(" ")[1] ?? ""))).toEqual(documented);
  expect(new Set(documented).size).toBe(documented.length);
});

test("it is OpenAPI 3.1 with Cog's Input and Output, and every reference is there", async () => {
  const response = await fetch(`${server.url}/openapi.json`);
  const document = await response.json();
  expect(document.openapi).toBe("3.1.0");
  expect(document).toEqual(JSON.parse(JSON.stringify(openApiDocument("1"))));
  const { schemas } = document.components;
  expect(schemas.Input.properties).toMatchObject({
    prompt: { type: "string" },
    steps: { type: "integer", minimum: 1, maximum: 256 },
    task: { type: "string", default: "draw" },
  });
  expect(schemas.Output.anyOf.length).toBe(3);
  expect(schemas.CogRequest.properties.input).toBeDefined();
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
  expect(references.length).toBeGreaterThan(20);
  for (const [, name = ""] of references) expect(schemas, name).toHaveProperty(name);
  expect(JSON.stringify(document)).not.toContain("$defs");
  const ids = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods as Record<string, { operationId: string }>).map(({ operationId }) => operationId)
  );
  expect(new Set(ids).size).toBe(OPERATIONS.length);
});

test("the reference page may load its own files and nothing else", async () => {
  const page = await fetch(`${server.url}/docs`);
  expect(page.headers.get("content-security-policy")).toContain("script-src 'self'");
  const html = await page.text();
  const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? "");
  expect(files).toEqual(["/docs/style.css", "/docs/page.js", "/openapi.json"]);
  for (const path of files) {
    const response = await fetch(`${server.url}${path}`);
    expect(response.status, path).toBe(200);
    await response.body?.cancel();
  }
});
