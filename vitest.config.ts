import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Forks, not threads: onnxruntime-web cannot be imported in a vitest thread.
    pool: "forks",
    // Tests that run graphs use every core already.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", ["json", { outputFile: ".cache/tests.json" }]],
  },
});
