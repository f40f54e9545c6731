/**
 * WebGPU tests need an adapter. Where there is none they are skipped under a name that cannot be overlooked, or fail if
 * UNMASK_REQUIRE_WEBGPU is set, as it is in .ci/run.
 */
import { describe, expect, it } from "vitest";
import { findAdapter } from "../../../core/engine/adapter.ts";

const adapter = await findAdapter();

export function describeWebGpu(name: string, tests: () => void): void {
  if (adapter !== null) {
    describe(`${name} on ${adapter.description}`, tests);
    return;
  }
  const missing = `WEBGPU NOT TESTED (${name}): no adapter; apt-get install mesa-vulkan-drivers libvulkan1`;
  if (Deno.env.get("UNMASK_REQUIRE_WEBGPU") === undefined) describe.skip(missing, tests);
  else describe(name, () => it("has an adapter", () => expect.fail(missing)));
}
