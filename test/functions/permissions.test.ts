import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);

/** Calls the address that a name was looked up to be, as core/net/call.ts does. */
const CALL = `
import http from "node:http";
for (const address of Deno.args) {
  const family = address.includes(":") ? 6 : 4;
  const lookup = (_, { all }, done) => all ? done(null, [{ address, family }]) : done(null, address, family);
  const outcome = await new Promise((resolve) => {
    addEventListener("error", (event) => {
      event.preventDefault();
      resolve(event.error.name);
    }, { once: true });
    const request = http.request("http://name.example:9/", { agent: false, lookup });
    request.on("error", (error) => resolve(error.code));
    request.end();
  });
  console.log(address, outcome);
}`;

test.each(["start", "worker"])(
  "what %s may call leaves out where clouds keep credentials, by whatever name",
  async (name) => {
    const { tasks }: { readonly tasks: Record<string, string> } = JSON.parse(
      await Deno.readTextFile(new URL("deno.json", ROOT)),
    );
    const flags = (tasks[name] ?? "").split(" ").slice(2).filter((flag) =>
      /^--(no-prompt|(allow|deny)-net)/.test(flag)
    );
    expect(flags).toContain("--allow-net");
    const addresses = ["169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "fd00:ec2::254", "127.0.0.1"];
    const script = await Deno.makeTempFile({ suffix: ".js" });
    try {
      await Deno.writeTextFile(script, CALL);
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-config", "--allow-env", ...flags, script, ...addresses],
      }).output();
      const told = new TextDecoder().decode(stdout).trim().split("\n");
      expect(told, new TextDecoder().decode(stderr)).toEqual([
        ...addresses.slice(0, -1).map((address) => `${address} NotCapable`),
        "127.0.0.1 ECONNREFUSED",
      ]);
    } finally {
      await Deno.remove(script);
    }
  },
);
