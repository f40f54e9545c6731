import { expect, test } from "vitest";
import { startServer } from "../../commands/lib/start_server.ts";

test("a server that does not start is an error with what it said", async () => {
  await expect(startServer(["--port", "none"])).rejects.toMatchObject({
    code: "server_failed",
    message: expect.stringMatching(/code 2.*--port/s),
  });
});
