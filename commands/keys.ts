/**
 * `deno task keys`: makes, lists and removes API keys in a store. A server that has the store's file open makes them
 * itself, over `POST /v1/keys`.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { UnmaskError } from "../core/errors.ts";
import { ApiKeys, SCOPES } from "../core/runs/api_keys.ts";
import { DEFAULT_STORE } from "../core/runs/house.ts";
import { openStore } from "../core/runs/store/open.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";

const KEYS_FLAGS = {
  name: { kind: "text", help: "create: what the key is for, for people" },
  scopes: { kind: "text", help: `create: what it may do, of ${SCOPES.join(",")} (default: infer,read)` },
  owner: { kind: "text", help: "create: whose runs it sees (default: its own)" },
  rate: { kind: "number", help: "create: requests a second (default: the server's limit)" },
  store: { kind: "text", help: `where keys and runs are kept (default: ${DEFAULT_STORE})` },
  ...COMMON_FLAGS,
} as const;

/** `keys create`, `keys list`, `keys remove ID`. */
export const keysCommand: Command = async (args, { output }) => {
  const { flags, positionals } = parseFlags(args, KEYS_FLAGS);
  if (flags.help) {
    output.stderr(`${usage("keys create|list|remove [ID] [flags]", KEYS_FLAGS)}\n`);
    return { help: true };
  }
  const [action, id, ...more] = positionals;
  const known = (action === "remove") === (id !== undefined) && more.length === 0;
  if (!known || !["create", "list", "remove"].includes(action ?? "")) throw unknownAction();
  const where = flags.store ?? DEFAULT_STORE;
  if (!/^https?:/.test(where)) await mkdir(dirname(where), { recursive: true });
  const store = await openStore(where);
  try {
    const keys = new ApiKeys(store);
    if (action === "list") {
      const list = await keys.list();
      for (const { id, name, scopes, owner } of list) output.stderr(`${id}  ${scopes.join(",")}  ${owner}  ${name}\n`);
      return { keys: list };
    }
    if (action === "remove") {
      await keys.remove(id ?? "");
      output.stderr(`removed ${id}\n`);
      return { removed: id };
    }
    const { owner, rate } = flags;
    const { key, text } = await keys.create({
      name: flags.name ?? "a key",
      ...(flags.scopes === undefined ? {} : { scopes: flags.scopes.split(",") }),
      ...(owner === undefined ? {} : { owner }),
      ...(rate === undefined ? {} : { rate }),
    });
    output.stderr(`${text}\nkeep it: it is not shown again (id ${key.id}, scopes ${key.scopes.join(",")})\n`);
    return { ...key, key: text };
  } finally {
    await store.close();
  }
};

function unknownAction(): UnmaskError {
  return new UnmaskError({
    code: "unknown_action",
    message: "keys are created, listed or removed",
    fix: "use: keys create --name shop, keys list, or keys remove ID",
  });
}

if (import.meta.main) await main(keysCommand);
