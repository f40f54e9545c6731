/**
 * Where everything of a run lies in the store. Runs, states, events and blobs lie under their owner, so that a key of
 * another owner can never reach them.
 *
 * @module
 */
import type { Key } from "./store/types.ts";

export const keys = {
  run: (owner: string, id: string): Key => ["run", owner, id],
  runsOf: (owner: string): Key => ["run", owner],
  state: (owner: string, id: string): Key => ["state", owner, id],
  /** The parent's state as it was when a fork or redraw was asked for. */
  origin: (owner: string, id: string): Key => ["origin", owner, id],
  event: (owner: string, id: string, sequence: number): Key => ["event", owner, id, sequence],
  eventsOf: (owner: string, id: string): Key => ["event", owner, id],
  control: (owner: string, id: string): Key => ["control", owner, id],
  /** `rank` 0: taken over or handed back, goes first; 1 to 10: priorities 9 to 0. `order`: Unix ms of the acceptance. */
  pending: (rank: number, order: number, id: string): Key => ["pending", rank, order, id],
  allPending: ["pending"] as Key,
  lease: (id: string): Key => ["lease", id],
  allLeases: ["lease"] as Key,
  /** Runs that failed after all their attempts. */
  dead: (id: string): Key => ["dead", id],
  idempotency: (owner: string, key: string): Key => ["idempotency", owner, key],
  /** Measured speed of a task under a fingerprint. */
  rate: (task: string): Key => ["rate", task],
  /** What workers say of their model; see model_card.ts. */
  modelCard: ["model_card"] as Key,
  /** Pictures that wait for an input to name them. */
  upload: (owner: string, id: string): Key => ["upload", owner, id],
  uploadsOf: (owner: string): Key => ["upload", owner],
  allUploads: ["upload"] as Key,
  apiKey: (id: string): Key => ["api_key", id],
  allApiKeys: ["api_key"] as Key,
} as const;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** `run_` and 26 characters: the time in ms, then 80 random bits. Ids sort by time. */
export function newRunId(now = Date.now()): string {
  return `run_${newId(now)}`;
}

const UPLOAD = "file_";

/** As {@linkcode newRunId}'s, after `file_`. */
export function newUploadId(now: number): string {
  return `${UPLOAD}${newId(now)}`;
}

export const isUploadId = (id: string): boolean => id.startsWith(UPLOAD);

function newId(now: number): string {
  let time = "";
  for (let rest = now, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = ALPHABET.charAt(rest % 32) + time;
  const random = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => ALPHABET.charAt(byte % 32));
  return `${time}${random.join("")}`;
}

/** The id of one write: after a refused or lost answer, whoever finds it again knows that the write landed. */
export function newWriteId(): string {
  return crypto.randomUUID();
}
