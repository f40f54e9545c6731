// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// The reference page: the OpenAPI document as HTML. Plain JavaScript, so that the page needs no build; every text is set
// as text, so nothing of the document is ever read as markup.

/** @typedef {{ [name: string]: unknown }} Json */
/**
 * @typedef {{
 *   tags: string[],
 *   summary: string,
 *   parameters?: { name: string, in: string, schema: Json }[],
 *   requestBody?: { content: { [type: string]: { schema?: Json } } },
 *   responses: { [status: string]: { content?: { [type: string]: { schema?: Json } } } },
 * }} Operation
 */

/**
 * @param {string} name
 * @param {{ text?: string, class?: string, id?: string, href?: string }} [options]
 * @param {Node[]} [children]
 */
function element(name, options = {}, children = []) {
  const node = document.createElement(name);
  if (options.text !== undefined) node.textContent = options.text;
  if (options.class !== undefined) node.className = options.class;
  if (options.id !== undefined) node.id = options.id;
  if (options.href !== undefined) node.setAttribute("href", options.href);
  node.append(...children);
  return node;
}

/**
 * The schema that a reference names, or the schema itself.
 *
 * @param {Json} schema
 * @param {{ [name: string]: Json }} components
 * @returns {{ name: string, schema: Json }}
 */
function resolved(schema, components) {
  const name = typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) ?? "" : "";
  return { name, schema: components[name] ?? schema };
}

/**
 * @param {string} title
 * @param {{ [type: string]: { schema?: Json } }} content
 * @param {{ [name: string]: Json }} components
 */
function bodies(title, content, components) {
  return Object.entries(content).map(([type, body]) => {
    const { name, schema } = resolved(body.schema ?? {}, components);
    const summary = element("summary", { text: `${title}: ${type}${name === "" ? "" : ` (${name})`}` });
    return element("details", {}, [summary, element("pre", { text: JSON.stringify(schema, null, 2) })]);
  });
}

/**
 * @param {string} path
 * @param {string} method
 * @param {Operation} operation
 * @param {{ [name: string]: Json }} components
 */
function article(path, method, operation, components) {
  const parameters = (operation.parameters ?? []).map(({ name, in: place, schema }) =>
    element("li", {}, [element("code", { text: `${name} (${place}): ${JSON.stringify(schema)}` })])
  );
  const { requestBody, responses } = operation;
  return element("article", { id: `${method}-${path}` }, [
    element("h3", {}, [
      element("span", { text: method, class: "method" }),
      document.createTextNode(" "),
      element("code", { text: path }),
    ]),
    element("p", { text: operation.summary }),
    ...(parameters.length === 0 ? [] : [element("ul", {}, parameters)]),
    ...(requestBody === undefined ? [] : bodies("Request", requestBody.content, components)),
    ...Object.entries(responses).flatMap(([status, { content }]) => bodies(status, content ?? {}, components)),
  ]);
}

async function show() {
  const response = await fetch("/openapi.json");
  const { paths, components } = await response.json();
  const operations =
    /** @type {[string, string, Operation][]} */ (Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [path, method, operation])
    ));
  const main = document.getElementById("operations");
  const contents = document.getElementById("contents");
  const find = document.getElementById("find");
  if (main === null || contents === null || !(find instanceof HTMLInputElement)) return;
  main.textContent = "";
  /** @type {{ words: string, nodes: HTMLElement[] }[]} */
  const shown = [];
  for (const tag of new Set(operations.map(([, , { tags }]) => tags[0] ?? ""))) {
    main.append(element("h2", { text: tag }));
    contents.append(element("h2", { text: tag }));
    for (const [path, method, operation] of operations) {
      if (operation.tags[0] !== tag) continue;
      const node = article(path, method, operation, components.schemas);
      const link = element("a", { href: `#${method}-${path}`, text: `${method.toUpperCase()} ${path}` });
      main.append(node);
      contents.append(link);
      shown.push({ words: `${method} ${path} ${operation.summary}`.toLowerCase(), nodes: [node, link] });
    }
  }
  find.addEventListener("input", () => {
    const word = find.value.toLowerCase();
    for (const { words, nodes } of shown) for (const node of nodes) node.hidden = !words.includes(word);
  });
}

show().catch((error) => {
  const main = document.getElementById("operations");
  if (main !== null) main.textContent = `The document could not be loaded: ${error}`;
});
