import { describe, expect, it } from "vitest";
import { doctorCommand, type DoctorReport, type Examination, THIS_MACHINE } from "../../commands/doctor.ts";
import { vulkanAdvice, type VulkanFacts } from "../../commands/lib/vulkan.ts";
import type { Provider } from "../../core/engine/types.ts";
import { UnmaskError } from "../../core/errors.ts";
import { collect } from "./collect.ts";

const failing = (provider: Provider) => ({
  provider,
  available: false,
  error: { code: "x", message: `${provider} is out`, fix: `mend ${provider}` },
});
const working = (provider: Provider) => ({
  provider,
  available: true,
  runtime: "r",
  device: "d",
  threads: 1,
  max_error: 0,
});

const machine: Examination = {
  ...THIS_MACHINE,
  findAdapter: () => Promise.resolve(null),
  findVulkan: () => Promise.resolve({ drivers: [], variables: {}, elsewhere: [] }),
  findProviders: () =>
    Promise.resolve([
      { provider: "webgpu", usable: false, reason: "none" },
      { provider: "cpu", usable: true, reason: "there" },
    ]),
  graphsOf: () => Promise.resolve([]),
  probe: (provider) => Promise.resolve(provider === "cpu" ? working("cpu") : failing(provider)),
};

describe("doctor", () => {
  it("loads the model that it is asked about", async () => {
    const asked: string[] = [];
    const graphsOf = (provider: Provider, folder: string) => {
      asked.push(folder);
      return Promise.resolve([{ graph: "draw", provider, bytes: 1 }]);
    };
    expect((await collect(doctorCommand({ ...machine, graphsOf }), ["--json", "--model", "models/other"])).code).toBe(
      0,
    );
    expect((await collect(doctorCommand({ ...machine, graphsOf }), ["--json"])).code).toBe(0);
    expect(asked).toEqual(["models/other", "models/scenes"]);
  });

  it("examines this machine: one line of JSON whose providers really computed", async () => {
    const { code, stdout, stderr } = await collect(doctorCommand(), ["--json"]);
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    const report = JSON.parse(stdout) as DoctorReport;
    expect(report.machine).toMatchObject({ deno: Deno.version.deno, cpus: navigator.hardwareConcurrency });
    expect(report.machine.memory_total).toBeGreaterThan(1e8);
    expect(report.providers.map(({ provider }) => provider)).toEqual(["webgpu", "cpu", "wasm"]);
    for (const { provider, available, max_error, error } of report.providers) {
      if (provider === "webgpu" && report.adapter === null) expect(error?.code).toBe("webgpu_unavailable");
      else {expect({ provider, available, right: (max_error ?? 1) < 1e-5 }).toEqual({
          provider,
          available: true,
          right: true,
        });}
    }
    expect(report.auto.provider).toBe(report.adapter === null || report.adapter.software ? "cpu" : "webgpu");
    expect(report.graphs?.map(({ graph, provider }) => [graph, provider])).toEqual(
      ["prompt", "draw_prefix", "vq_decode"].map((graph) => [graph, report.auto.provider]),
    );
    for (const { bytes } of report.graphs ?? []) expect(bytes).toBeGreaterThan(1e6);
    if (report.adapter !== null) expect(report.adapter.limits["maxBufferSize"]).toBeGreaterThan(1e6);
    expect(stderr).toContain(`auto takes ${report.auto.provider}`);
  });

  it("fails, with the report, when what auto would take does not work", async () => {
    const sick = doctorCommand({ ...machine, probe: (provider) => Promise.resolve(failing(provider)) });
    const { code, stdout, stderr } = await collect(sick, ["--json"]);
    expect(code).toBe(1);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({
      auto: { provider: "cpu" },
      providers: [{ available: false }, { available: false }, { available: false }],
      error: { code: "provider_unhealthy", fix: "mend cpu" },
    });
    expect(stderr).toContain("cpu is out");
  });

  it("fails when nothing can compute", async () => {
    const { code, stdout } = await collect(doctorCommand({ ...machine, findProviders: () => Promise.resolve([]) }), [
      "--json",
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ auto: { provider: null }, error: { code: "no_provider" } });
  });

  it("asks a model for the provider of each graph, on the provider that auto takes", async () => {
    const { stdout, stderr } = await collect(
      doctorCommand({
        ...machine,
        graphsOf: (provider) => Promise.resolve([{ graph: "draw", provider, bytes: 12_340_000 }]),
      }),
      ["--json"],
    );
    expect(JSON.parse(stdout).graphs).toEqual([{ graph: "draw", provider: "cpu", bytes: 12_340_000 }]);
    expect(stderr).toContain("graph draw: cpu, 12.3 MB of weights\n");
    const odd = { graph: "odd", provider: "webgpu", bytes: 1e6, cpu_nodes: "WebGPU has no Det" } as const;
    const named = await collect(doctorCommand({ ...machine, graphsOf: () => Promise.resolve([odd]) }), ["--json"]);
    expect(named.stderr).toContain("1.0 MB of weights; some nodes on the CPU: WebGPU has no Det\n");
    expect(JSON.parse(named.stdout).graphs).toEqual([odd]);
  });

  it("fails, with the report, when the model does not load", async () => {
    const broken = new UnmaskError({ code: "tensor_missing", message: "wte is missing", fix: "fetch it" });
    const { code, stdout, stderr } = await collect(
      doctorCommand({ ...machine, graphsOf: () => Promise.reject(broken) }),
      ["--json"],
    );
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      auto: { provider: "cpu" },
      graphs: null,
      error: { code: "tensor_missing", fix: "fetch it" },
    });
    expect(stderr).toContain("wte is missing");
  });

  it("refuses flags that it does not have", async () => {
    expect((await collect(doctorCommand(machine), ["--fast"])).code).toBe(2);
  });
});

describe("advice on Vulkan", () => {
  const facts = (rest: Partial<VulkanFacts>): VulkanFacts => ({ drivers: [], variables: {}, elsewhere: [], ...rest });
  it.each([
    ["no driver", facts({}), /apt-get install libvulkan1/],
    ["drivers, but no GPU", facts({ drivers: ["/usr/share/vulkan/icd.d/radeon_icd.json"] }), /\/dev\/dri/],
    [
      "a container without graphics",
      facts({ variables: { NVIDIA_VISIBLE_DEVICES: "all", NVIDIA_DRIVER_CAPABILITIES: "compute,utility" } }),
      /NVIDIA_DRIVER_CAPABILITIES=all/,
    ],
    [
      "a platform that mounts no driver file",
      facts({ variables: { NVIDIA_VISIBLE_DEVICES: "all", NVIDIA_DRIVER_CAPABILITIES: "all" } }),
      /Cloud Run/,
    ],
    ["GLX without a display", facts({ drivers: ["/etc/vulkan/icd.d/nvidia_icd.json"] }), /libEGL_nvidia/],
    ["a driver file that is gone", facts({ elsewhere: ["/tmp/gone.json"] }), /\/tmp\/gone\.json/],
  ])("%s", (_, given, text) => {
    expect(vulkanAdvice(given, "linux").some((line) => text.test(line))).toBe(true);
  });

  it("does not blame capabilities that are right, nor Vulkan where there is none", () => {
    const right = facts({
      variables: { NVIDIA_VISIBLE_DEVICES: "all", NVIDIA_DRIVER_CAPABILITIES: "compute,graphics" },
    });
    expect(vulkanAdvice(right, "linux").join()).not.toMatch(/lacks graphics/);
    expect(vulkanAdvice(facts({}), "darwin")).toEqual([]);
  });
});
