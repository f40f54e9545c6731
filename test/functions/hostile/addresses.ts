/** Addresses of pictures that lead where a caller has no business (a server that fetches them at all). */
import { type HostileCase, postJson } from "./case.ts";

const asked = (url: string | ((outside: string) => string)): HostileCase["send"] => (target) => {
  const address = typeof url === "string" ? url : url(target.outside);
  const content = [{ type: "text", text: "what" }, { type: "image_url", image_url: { url: address } }];
  return postJson(target, "/v1/chat/completions", { messages: [{ role: "user", content }], max_tokens: 4 });
};

const refused = { status: 400, code: "image_url_refused" };

export const ADDRESSES: readonly HostileCase[] = [
  ...[
    ["loopback", "http://127.0.0.1/x.png"],
    ["loopback in decimal", "http://2130706433/x.png"],
    ["loopback in hexadecimal", "http://0x7f.1/x.png"],
    ["loopback in octal", "http://0177.0.0.1/x.png"],
    ["loopback in full-width digits", "http://①②⑦.0.0.1/x.png"],
    ["IPv6 loopback", "http://[::1]/x.png"],
    ["IPv4 in IPv6", "http://[::ffff:127.0.0.1]/x.png"],
    ["IPv4 in NAT64", "http://[64:ff9b::7f00:1]/x.png"],
    ["the cloud's metadata", "http://169.254.169.254/latest/meta-data/"],
    ["a private network", "https://10.0.0.1/x.png"],
    ["the local name", "http://localhost/x.png"],
    ["a name and a password", "http://user:secret@93.184.216.34/x.png"],
    ["a name that leads inside", "http://inside.example/x.png"],
    ["a name with one address inside and one outside", "http://mixed.example/x.png"],
  ].map(([name = "", url = ""]) => ({ name: `a picture at ${name}`, send: asked(url), ...refused })),
  { name: "a redirect inside", send: asked((outside) => `${outside}/inside`), ...refused },
  { name: "a redirect to a file", send: asked((outside) => `${outside}/file`), ...refused },
  { name: "redirects without an end", send: asked((outside) => `${outside}/loop`), ...refused },
  {
    name: "a name that leads outside first and inside then",
    send: asked((outside) => outside.replace("outside.example", "rebinding.example")),
    // It is looked up once, and the connection goes there: to a page that is no picture.
    status: 415,
    code: "image_format_unsupported",
  },
  { name: "an endless picture", send: asked((outside) => `${outside}/endless`), status: 413, code: "image_too_large" },
  {
    name: "a picture that never comes",
    send: asked((outside) => `${outside}/slow`),
    status: 400,
    code: "image_url_failed",
  },
  {
    name: "a page instead of a picture",
    send: asked((outside) => outside),
    status: 415,
    code: "image_format_unsupported",
  },
  { name: "a file's address", send: asked("file:///etc/passwd"), status: 400, code: "image_url_unsupported" },
  { name: "a script's address", send: asked("javascript:alert(1)"), status: 400, code: "image_url_unsupported" },
  {
    name: "a webhook to a file",
    send: (target) =>
      postJson(target, "/v1/runs", {
        task: "draw",
        input: { prompt: "a dog", steps: 1 },
        webhooks: [{ url: "file:///etc/passwd" }],
      }),
    status: 400,
    code: "invalid_webhook",
  },
];
