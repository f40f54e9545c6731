// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// The playground's behaviour: plain JavaScript, so that the page needs no build. It calls the public API as any client.

/**
 * @typedef {{ prompt: string, seed: number, format: string, url: string,
 *   unmask: { steps: number, guidance: number, order: string, seconds: number, provider: string } }} Drawn
 * @typedef {{ message: string, fix: string, code: string }} Refusal
 */

const EXAMPLES = [
  "a photo of a zebra",
  "a photo of three apples",
  "a photo of a purple elephant",
  "a photo of a dog and an umbrella",
  "a photo of a boat above a bed",
  "a photo of a giraffe left of a train",
  "a photo of a red car and a blue dog",
  "a photo of a green bus and a pink bird",
  "a photo of four donuts",
];
const HISTORY_LENGTH = 24;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

const form = element("form", HTMLFormElement);
const prompt = element("prompt", HTMLTextAreaElement);
const seed = element("seed", HTMLInputElement);
const drawButton = element("draw", HTMLButtonElement);
const stopButton = element("stop", HTMLButtonElement);
const errorBox = element("error", HTMLDivElement);
const canvas = element("canvas", HTMLDivElement);
const picture = element("picture", HTMLImageElement);
const caption = element("caption", HTMLElement);
const empty = caption.textContent;
// The caption ticks while drawing, which a screen reader must not repeat; this line says only what happened.
const announce = element("announce", HTMLElement);
const facts = element("facts", HTMLElement);
const after = element("after", HTMLDivElement);
const save = element("save", HTMLAnchorElement);
const historyTitle = element("history-title", HTMLElement);
const historyList = element("history", HTMLOListElement);
const health = element("health", HTMLParagraphElement);

/** @type {Drawn | undefined} */
let shown;
/** @type {AbortController | undefined} */
let running;

/**
 * What the form asks for; empty fields are left to the server's defaults.
 * @returns {Record<string, string | number>}
 */
function request() {
  /** @type {Record<string, string | number>} */
  const body = { prompt: prompt.value.trim() };
  for (const name of ["seed", "steps", "guidance"]) {
    const text = element(name, HTMLInputElement).value.trim();
    if (text !== "") body[name] = Number(text);
  }
  for (const name of ["order", "output_format"]) {
    const text = element(name, HTMLSelectElement).value;
    if (text !== "") body[name] = text;
  }
  return body;
}

async function draw() {
  if (running !== undefined || !form.reportValidity()) return;
  const controller = running = new AbortController();
  const body = request();
  const start = performance.now();
  setDrawing(true);
  showError(undefined);
  announce.textContent = "Drawing";
  canvas.scrollIntoView({ block: "nearest" });
  const tick = setInterval(() => {
    caption.textContent = `Drawing… ${((performance.now() - start) / 1000).toFixed(1)} s`;
  }, 100);
  try {
    const response = await fetch("/v1/images/generations", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: controller.signal,
    });
    const answer = await response.json();
    if (!response.ok) throw answer.error;
    const [first] = answer.data;
    /** @type {Drawn} */
    const drawn = {
      prompt: String(body.prompt),
      seed: first.seed,
      format: answer.output_format,
      url: `data:image/${answer.output_format};base64,${first.b64_json}`,
      unmask: answer.unmask,
    };
    remember(drawn);
    show(drawn);
    announce.textContent = `Drawn: ${drawn.prompt}`;
  } catch (thrown) {
    caption.textContent = shown?.prompt ?? empty;
    announce.textContent = controller.signal.aborted ? "Stopped" : "";
    if (!controller.signal.aborted) showError(asRefusal(thrown));
  } finally {
    clearInterval(tick);
    running = undefined;
    setDrawing(false);
  }
}

/** @param {unknown} thrown @returns {Refusal} */
function asRefusal(thrown) {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "fix" in thrown && "message" in thrown) {
    return { message: String(thrown.message), fix: String(thrown.fix), code: String(thrown.code) };
  }
  return { message: "the server did not answer", fix: "see whether it still runs: deno task start", code: "no_answer" };
}

/** @param {boolean} drawing */
function setDrawing(drawing) {
  drawButton.disabled = drawing;
  stopButton.hidden = !drawing;
  canvas.setAttribute("aria-busy", String(drawing));
  canvas.dataset.state = drawing ? "drawing" : shown === undefined ? "empty" : "drawn";
}

/** @param {Refusal | undefined} refusal */
function showError(refusal) {
  errorBox.hidden = refusal === undefined;
  errorBox.replaceChildren();
  prompt.toggleAttribute("aria-invalid", refusal !== undefined);
  if (refusal === undefined) return;
  const message = document.createElement("strong");
  message.textContent = refusal.message;
  const fix = document.createElement("p");
  fix.textContent = refusal.fix;
  const code = document.createElement("code");
  code.textContent = refusal.code;
  errorBox.append(message, fix, code);
  errorBox.scrollIntoView({ block: "nearest" });
}

/** @param {Drawn} drawn */
function show(drawn) {
  shown = drawn;
  picture.src = drawn.url;
  picture.alt = drawn.prompt;
  picture.hidden = false;
  caption.textContent = drawn.prompt;
  const { steps, guidance, order, seconds, provider } = drawn.unmask;
  facts.replaceChildren(
    fact("seed", String(drawn.seed)),
    fact("steps", String(steps)),
    fact("guidance", String(guidance)),
    fact("order", order),
    fact("seconds", seconds.toFixed(2)),
    fact("on", provider),
  );
  facts.hidden = false;
  after.hidden = false;
  save.href = drawn.url;
  save.download = `unmask-${drawn.seed}.${drawn.format === "jpeg" ? "jpg" : drawn.format}`;
  for (const button of historyList.querySelectorAll("button")) {
    button.setAttribute("aria-current", String(button.dataset.url === drawn.url));
  }
}

/** @param {string} name @param {string} value */
function fact(name, value) {
  const pair = document.createElement("div");
  const term = document.createElement("dt");
  term.textContent = name;
  const definition = document.createElement("dd");
  definition.textContent = value;
  pair.append(term, definition);
  return pair;
}

/** @param {Drawn} drawn */
function remember(drawn) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.url = drawn.url;
  button.title = `${drawn.prompt} · seed ${drawn.seed}`;
  const thumbnail = document.createElement("img");
  thumbnail.src = drawn.url;
  thumbnail.alt = button.title;
  button.append(thumbnail);
  button.addEventListener("click", () => {
    if (running === undefined) show(drawn);
  });
  item.append(button);
  historyList.prepend(item);
  while (historyList.children.length > HISTORY_LENGTH) historyList.lastElementChild?.remove();
  historyTitle.hidden = historyList.children.length < 2;
  historyList.hidden = historyTitle.hidden;
}

/** The request of the shown picture, as a shell command. @returns {string} */
function asCurl() {
  if (shown === undefined) return "";
  const { steps, guidance, order } = shown.unmask;
  const body = JSON.stringify({ prompt: shown.prompt, seed: shown.seed, steps, guidance, order });
  const quoted = body.replaceAll("'", `'\\''`);
  return `curl -s ${location.origin}/v1/images/generations -H 'content-type: application/json' -d '${quoted}'`;
}

async function watchHealth() {
  let wait = 1000;
  try {
    const response = await fetch("/health");
    const state = await response.json();
    health.dataset.state = state.status;
    if (state.ready) {
      const device = state.software ? `${state.device} (software)` : state.device;
      health.textContent = `${state.model} on ${state.provider}, ${device}`;
      wait = 15_000;
    } else {
      health.textContent = state.status === "failed" ? "the model could not be loaded" : "loading the model…";
    }
  } catch {
    health.dataset.state = "failed";
    health.textContent = "the server does not answer";
    wait = 3000;
  }
  setTimeout(watchHealth, wait);
}

const cells = element("cells", HTMLDivElement);
for (let index = 0; index < 64; index++) {
  const cell = document.createElement("span");
  // A fixed scatter: neighbours light up at different times.
  cell.style.setProperty("--delay", `${-((index * 37) % 64) / 40}s`);
  cells.append(cell);
}

const examples = element("examples", HTMLUListElement);
for (const example of EXAMPLES) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = example.replace("a photo of ", "");
  button.addEventListener("click", () => {
    prompt.value = example;
    draw();
  });
  item.append(button);
  examples.append(item);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  draw();
});
prompt.addEventListener("keydown", (event) => {
  // Shift+Enter still breaks the line, and an input method's own Enter is left to it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  draw();
});
stopButton.addEventListener("click", () => running?.abort());
element("keep", HTMLButtonElement).addEventListener("click", () => {
  if (shown !== undefined) seed.value = String(shown.seed);
  seed.closest("details")?.setAttribute("open", "");
  seed.focus();
});
const copy = element("copy", HTMLButtonElement);
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(asCurl());
  copy.textContent = "Copied";
  setTimeout(() => copy.textContent = "Copy as curl", 1500);
});
watchHealth();
