/**
 * Webhook receivers that are down, slow or failing for a while, and remember all that came.
 *
 * @module
 */
import { Webhook } from "standardwebhooks";

export type Mood = "well" | "down" | "slow" | "500";

export interface Delivery {
  readonly endpoint: string;
  readonly id: string;
  readonly body: string;
  /** Null: the signature holds. */
  readonly wrong: string | null;
  /** It was answered with 2xx. */
  readonly taken: boolean;
}

export class Receiver {
  readonly name: string;
  readonly #secret: string;
  readonly #port: number;
  readonly #slow_ms: number;
  readonly deliveries: Delivery[] = [];
  #mood: Mood = "well";
  #server: Deno.HttpServer | null = null;

  /** @param slow_ms longer than a sender waits */
  constructor(name: string, secret: string, slow_ms: number) {
    [this.name, this.#secret, this.#slow_ms] = [name, secret, slow_ms];
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#port = (listener.addr as Deno.NetAddr).port;
    listener.close();
    this.#listen();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async feel(mood: Mood): Promise<void> {
    if (this.#mood === "down" && mood !== "down") this.#listen();
    this.#mood = mood;
    if (mood === "down") await this.close();
  }

  async close(): Promise<void> {
    await this.#server?.shutdown();
    this.#server = null;
  }

  #listen(): void {
    const options = { hostname: "127.0.0.1", port: this.#port, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#take(request));
  }

  async #take(request: Request): Promise<Response> {
    const body = await request.text();
    const header = (name: string) => request.headers.get(`webhook-${name}`) ?? "";
    let wrong: string | null = null;
    try {
      new Webhook(this.#secret).verify(body, {
        "webhook-id": header("id"),
        "webhook-timestamp": header("timestamp"),
        "webhook-signature": header("signature"),
      });
    } catch (error) {
      wrong = error instanceof Error ? error.message : String(error);
    }
    const taken = this.#mood === "well";
    this.deliveries.push({ endpoint: this.name, id: header("id"), body, wrong, taken });
    if (this.#mood === "slow") await new Promise((resolve) => setTimeout(resolve, this.#slow_ms));
    return new Response(null, { status: taken ? 204 : 500 });
  }
}
