/**
 * API keys: what the doors ask for, kept as hashes. A key is shown once, when it is made; what it made in turn belongs to
 * its owner, and to nobody else.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { keys } from "./keys.ts";
import { listAll, type Store } from "./store/types.ts";

/** `infer` starts and steers runs, `read` looks at them, `admin` makes keys and sees the server's own numbers. */
export const SCOPES = ["infer", "read", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

export const newKeySchema = z.strictObject({
  /** For people. */
  name: z.string().min(1).max(80),
  scopes: z.array(z.enum(SCOPES)).min(1).default(["infer", "read"]),
  /** Whose runs it makes and sees; a second key of the same owner replaces the first. @default one of its own */
  owner: z.string().regex(/^[a-z0-9_-]{1,64}$/).optional(),
  /** Requests a second, on average; absent: the server's own limit. */
  rate: z.number().positive().max(100_000).optional(),
});
export type NewKey = z.input<typeof newKeySchema>;

const storedSchema = newKeySchema.extend({
  id: z.string(),
  owner: z.string(),
  /** SHA-256 of the whole key, hex. 256 random bits need no slow hash. */
  hash: z.string(),
  /** Unix ms. */
  created_at: z.number(),
});
type StoredKey = z.infer<typeof storedSchema>;

/** A key without what could prove it. */
export type ApiKey = Omit<StoredKey, "hash">;

/** How a key begins, so that scanners of leaked secrets know it. */
export const KEY_PREFIX = "umk_";
const FORM = /^umk_([0-9a-v]{16})_[\w-]{43}$/;

/** Ms for which a key that was found is taken without another look: how late a removal is seen in other processes. */
const TRUST = 2000;

export class ApiKeys {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #known = new Map<string, { readonly key: StoredKey; readonly until: number }>();

  constructor(store: Store, now: () => number = Date.now) {
    this.#store = store;
    this.#now = now;
  }

  /** @returns the key's text, which is nowhere else. @throws {UnmaskError} `key_invalid` */
  async create(asked: unknown): Promise<{ readonly key: ApiKey; readonly text: string }> {
    const parsed = newKeySchema.safeParse(asked);
    if (!parsed.success) throw invalid(parsed.error.issues[0]);
    const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte % 32).toString(32)).join("");
    const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });
    const text = `${KEY_PREFIX}${id}_${secret}`;
    const stored: StoredKey = {
      ...parsed.data,
      owner: parsed.data.owner ?? `key_${id}`,
      scopes: [...new Set(parsed.data.scopes)],
      id,
      hash: digest(text).toString("hex"),
      created_at: this.#now(),
    };
    const key = keys.apiKey(id);
    await this.#store.commit({ checks: [{ key, version: null }], sets: [{ key, value: stored }] });
    return { key: shown(stored), text };
  }

  /** The key that this text is, or null: unknown, removed or forged. */
  async find(text: string): Promise<ApiKey | null> {
    const id = FORM.exec(text)?.[1];
    if (id === undefined) return null;
    const known = this.#known.get(id);
    const stored = known !== undefined && known.until > this.#now() ? known.key : await this.#read(id);
    // Of equal cost whether or not there is such an id.
    const same = timingSafeEqual(digest(text), Buffer.from(stored?.hash ?? "0".repeat(64), "hex"));
    return stored !== null && same ? shown(stored) : null;
  }

  async #read(id: string): Promise<StoredKey | null> {
    const entry = await this.#store.get(keys.apiKey(id));
    this.#known.delete(id);
    if (entry === null) return null;
    const key = storedSchema.parse(entry.value);
    if (this.#known.size >= 10_000) this.#known.clear();
    this.#known.set(id, { key, until: this.#now() + TRUST });
    return key;
  }

  async list(): Promise<readonly ApiKey[]> {
    const all: ApiKey[] = [];
    for await (const { value } of listAll(this.#store, { prefix: keys.allApiKeys })) {
      all.push(shown(storedSchema.parse(value)));
    }
    return all;
  }

  /** Here at once; in other processes within two seconds. @throws {UnmaskError} `key_not_found` (404) */
  async remove(id: string): Promise<void> {
    if (await this.#read(id) === null) {
      throw new UnmaskError({
        code: "key_not_found",
        message: "there is no key of this id",
        fix: "look for its id in GET /v1/keys",
        param: "id",
        status: 404,
      });
    }
    await this.#store.commit({ deletes: [keys.apiKey(id)] });
    this.#known.delete(id);
  }
}

function digest(text: string) {
  return createHash("sha256").update(text).digest();
}

function shown({ hash: _, ...key }: StoredKey): ApiKey {
  return key;
}

function invalid(issue: z.core.$ZodIssue | undefined): UnmaskError {
  const field = issue?.code === "unrecognized_keys" ? issue.keys[0] : issue?.path[0];
  const param = String(field ?? "").replace(/[^\x20-\x7e]/g, "?").slice(0, 64);
  return new UnmaskError({
    code: "key_invalid",
    message: param === "" ? "a key is made from an object" : `\`${param}\` is not supported for a key`,
    fix: `give {"name": "shop", "scopes": ["infer", "read"]}; also owner and rate`,
    ...(param === "" ? {} : { param }),
  });
}
