/**
 * A way around a fault of Mesa's software Vulkan (lavapipe, whose device is called llvmpipe; seen in 22.3): a compute
 * shader that gets much smaller once the values of its uniforms are known is compiled anew in each dispatch, with the
 * values at hand, and what was compiled is kept for ever. That is some 20 ms and half a megabyte for each product of
 * matrices: thousands in a picture. Values in storage buffers are let alone.
 *
 * @module
 */

export function isLavapipe({ description }: Pick<GPUAdapterInfo, "description">): boolean {
  return /llvmpipe|lavapipe/i.test(description);
}

/**
 * From now on what shaders call uniform is read-only storage on this device, for whoever uses it: the layout of a value
 * that may be uniform is the same in both.
 */
export function uniformsAsStorage(device: GPUDevice): void {
  const buffer = device.createBuffer.bind(device);
  const shader = device.createShaderModule.bind(device);
  const layout = device.createBindGroupLayout.bind(device);
  device.createBuffer = (descriptor) => {
    const { usage } = descriptor;
    if ((usage & GPUBufferUsage.UNIFORM) === 0) return buffer(descriptor);
    const made = buffer({ ...descriptor, usage: usage | GPUBufferUsage.STORAGE });
    // The runtime asks a buffer that it is done with for its usage, to know for what it may be used again.
    return Object.defineProperty(made, "usage", { value: usage });
  };
  device.createShaderModule = (descriptor) => shader({ ...descriptor, code: storageCode(descriptor.code) });
  device.createBindGroupLayout = (descriptor) =>
    layout({ ...descriptor, entries: [...descriptor.entries].map(storageEntry) });
}

function storageCode(code: string): string {
  return code.replace(/\bvar\s*<\s*uniform\s*>/g, "var<storage, read>");
}

function storageEntry(entry: GPUBindGroupLayoutEntry): GPUBindGroupLayoutEntry {
  const { buffer } = entry;
  if (buffer === undefined || (buffer.type ?? "uniform") !== "uniform") return entry;
  return { ...entry, buffer: { ...buffer, type: "read-only-storage" } };
}
