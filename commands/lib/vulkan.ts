/**
 * What Linux offers WebGPU: Vulkan's driver files, the variables that steer them, and what to do when they hide the GPU.
 *
 * @module
 */

const FOLDERS = [
  "/etc/vulkan/icd.d",
  "/usr/local/etc/vulkan/icd.d",
  "/usr/local/share/vulkan/icd.d",
  "/usr/share/vulkan/icd.d",
];

/** Set by the user, by the container's image or by its runtime. */
const VARIABLES = [
  "VK_DRIVER_FILES",
  "VK_ICD_FILENAMES",
  "DENO_WEBGPU_BACKEND",
  "NVIDIA_VISIBLE_DEVICES",
  "NVIDIA_DRIVER_CAPABILITIES",
] as const;

export interface VulkanFacts {
  /** Driver files (ICDs) in the usual folders. */
  readonly drivers: readonly string[];
  readonly variables: Readonly<Partial<Record<typeof VARIABLES[number], string>>>;
  /** Files that VK_DRIVER_FILES or VK_ICD_FILENAMES names outside those folders; with either set, only they count. */
  readonly elsewhere: readonly string[];
}

export async function findVulkan(): Promise<VulkanFacts> {
  const drivers: string[] = [];
  for (const folder of FOLDERS) {
    try {
      for await (const { name } of Deno.readDir(folder)) if (name.endsWith(".json")) drivers.push(`${folder}/${name}`);
    } catch (thrown) {
      // Absent on most systems. A folder that this process may not read is another matter: it would look like none.
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    }
  }
  const variables: Partial<Record<typeof VARIABLES[number], string>> = {};
  for (const name of VARIABLES) {
    const { state } = await Deno.permissions.query({ name: "env", variable: name });
    const value = state === "granted" ? Deno.env.get(name) : undefined;
    if (value !== undefined) variables[name] = value;
  }
  const named = [variables.VK_DRIVER_FILES, variables.VK_ICD_FILENAMES].flatMap((list) => list?.split(":") ?? []);
  const elsewhere = named.filter((path) => path !== "" && !drivers.includes(path));
  return { drivers: drivers.sort(), variables, elsewhere };
}

/** What to do, on a machine on which WebGPU found no hardware adapter. One sentence each. */
export function vulkanAdvice({ drivers, variables, elsewhere }: VulkanFacts, os: string): string[] {
  if (os !== "linux") return [];
  const advice = elsewhere.map((path) =>
    `VK_DRIVER_FILES or VK_ICD_FILENAMES names ${path}, which is none of the installed drivers: check it, or unset it`
  );
  const nvidiaDriver = drivers.some((path) => /nvidia/i.test(path));
  const { NVIDIA_VISIBLE_DEVICES: visible, NVIDIA_DRIVER_CAPABILITIES: capabilities } = variables;
  const nvidiaContainer = visible !== undefined && !["", "none", "void"].includes(visible);
  if (nvidiaContainer || nvidiaDriver) {
    if (nvidiaContainer && !/\b(all|graphics)\b/.test(capabilities ?? "")) {
      advice.push(
        "NVIDIA_DRIVER_CAPABILITIES lacks graphics, which hides Vulkan: start the container with " +
          "--gpus all --runtime=nvidia -e NVIDIA_DRIVER_CAPABILITIES=all",
      );
    }
    if (!nvidiaDriver) {
      advice.push(
        "no Vulkan driver file of NVIDIA's is here: start the container with --gpus all --runtime=nvidia; where the " +
          "platform does not mount it (Cloud Run, Fly.io), install the same driver's user space in the image",
      );
    } else {
      advice.push(
        "NVIDIA's driver file is here and no GPU came of it: without a display it must name libEGL_nvidia.so.0, not " +
          "libGLX_nvidia.so.0, and libvulkan1 must be installed",
      );
    }
  } else if (drivers.length === 0) {
    advice.push(
      "no Vulkan driver is installed: apt-get install libvulkan1 mesa-vulkan-drivers, or the GPU vendor's driver",
    );
  } else {
    advice.push("no GPU answers to the installed Vulkan drivers; if there is one, check that /dev/dri is visible here");
  }
  return advice;
}
