import { defineConfig } from "vitest/config";

// Forks, not threads: onnxruntime-web cannot be imported in a vitest thread (field-notes, row 21).
export default defineConfig({
  test: { include: ["test/**/*.test.ts"], pool: "forks", testTimeout: 60_000, fileParallelism: false },
});
