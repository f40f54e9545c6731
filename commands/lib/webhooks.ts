/**
 * The flag `--webhooks FILE`: whom a server or worker tells of runs, and whom a server listens to.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";
import { parseWebhookSettings, type WebhookSettings } from "../../core/runs/webhooks/settings.ts";

export const WEBHOOKS_FLAG = {
  webhooks: { kind: "text", help: "a file of webhook settings, in .unmask or another folder that may be read" },
} as const;

/** Without a file: nobody is told but whom a run names with its own secrets, and there are no hooks. */
const NONE = parseWebhookSettings("{}");

/** @throws {UnmaskError} `webhook_settings_unreadable`, `webhook_settings_invalid` */
export async function readWebhooks(file: string | undefined): Promise<WebhookSettings> {
  if (file === undefined) return NONE;
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (cause) {
    const denied = cause instanceof Deno.errors.NotCapable;
    throw new UnmaskError({
      code: "webhook_settings_unreadable",
      message: denied ? "this task may not read the file of webhook settings" : "there is no such file to be read",
      fix: denied
        ? "put it into the folder .unmask, or copy the task's command from deno.json and add the file to --allow-read"
        : "check the path after --webhooks",
      param: "webhooks",
      cause,
    });
  }
  return parseWebhookSettings(text);
}
