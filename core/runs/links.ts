/**
 * Links that need no key: whoever has one may read one thing of one run, until it expires. And the secret that a key's
 * webhooks are signed with. Both come from one secret of the server, which every process of a store shares.
 *
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import type { Store } from "./store/types.ts";

/** What a link shows: the file of a finished run, or its events as they come. */
export type LinkKind = "result" | "stream";

export interface Link {
  readonly owner: string;
  readonly run: string;
  readonly kind: LinkKind;
}

/** Ms that a link lives, as OpenAI's do (field-notes A1). */
export const LINK_LIFE = 3_600_000;

const SECRET_KEY = ["secret", "links"] as const;
const payloadSchema = z.tuple([z.string(), z.string(), z.enum(["result", "stream"]), z.int()]);
const URL_SAFE = { alphabet: "base64url", omitPadding: true } as const;

export class Links {
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /** The secret of this store; the first process makes it. */
  static async of(store: Store): Promise<Links> {
    for (;;) {
      const entry = await store.get<Uint8Array>(SECRET_KEY);
      if (entry !== null) return new Links(entry.value);
      const value = crypto.getRandomValues(new Uint8Array(32));
      // Whoever lost the race reads the winner's.
      await store.commit({ checks: [{ key: SECRET_KEY, version: null }], sets: [{ key: SECRET_KEY, value }] });
    }
  }

  /** A token for a path: letters, digits, `-`, `_` and one `.`. @param expires Unix ms */
  sign({ owner, run, kind }: Link, expires: number): string {
    const payload = new TextEncoder().encode(JSON.stringify([owner, run, kind, expires])).toBase64(URL_SAFE);
    return `${payload}.${this.#mac("link", payload).toBase64(URL_SAFE)}`;
  }

  /** @throws {UnmaskError} `link_invalid` (404), `link_expired` (410) */
  verify(token: string, kind: LinkKind, now: number): Link {
    const [payload = "", signature = "", ...more] = token.split(".");
    // As text: the last of 43 base64 letters has two bits that decoding ignores, and a link has one spelling.
    const given = new TextEncoder().encode(signature);
    const due = new TextEncoder().encode(this.#mac("link", payload).toBase64(URL_SAFE));
    if (more.length > 0 || given.length !== due.length || !timingSafeEqual(given, due)) throw invalid();
    const [owner, run, signedKind, expires] = payloadSchema.parse(
      JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(payload, { alphabet: "base64url" }))),
    );
    if (signedKind !== kind) throw invalid();
    if (now <= expires) return { owner, run, kind };
    throw new UnmaskError({
      code: "link_expired",
      message: "this link has expired",
      fix: "ask for the run again, which gives a fresh link",
      status: 410,
    });
  }

  /** Signs the webhooks of one key's runs (Standard Webhooks): no other key can learn it or forge with it. */
  webhookSecret(owner: string): string {
    return `whsec_${this.#mac("webhook", owner).toBase64()}`;
  }

  /** The first argument keeps the uses apart: a link's signature is never a webhook's secret. */
  #mac(use: "link" | "webhook", text: string): Uint8Array {
    return new Uint8Array(createHmac("sha256", this.#secret).update(`${use}:${text}`).digest());
  }
}

function invalid(): UnmaskError {
  return new UnmaskError({
    code: "link_invalid",
    message: "this link was not made by this server",
    fix: "ask for the run again, which gives a fresh link",
    status: 404,
  });
}
