/**
 * GPU tensors to host tensors in one read, however many there are.
 *
 * @module
 */
import type { OrtTensor } from "./ort.ts";
import { byteLength, dtypeOf, typedArray } from "./tensors.ts";
import type { DType, HostTensor } from "./types.ts";

/** Copies begin on multiples of 4 bytes, typed arrays of int64 on multiples of 8. */
const ALIGNMENT = 8;

/** `device` answers with the runtime's own device, on which the tensors live. Call the result inside the lock. */
export function downloader(
  device: () => Promise<GPUDevice>,
): (tensors: readonly OrtTensor[]) => Promise<readonly HostTensor[]> {
  return async (tensors) => {
    const gpu = await device();
    let end = 0;
    const parts = tensors.map((tensor) => {
      const dtype = dtypeOf(tensor);
      const offset = end;
      const length = byteLength({ dtype, dims: tensor.dims });
      end += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
      return { tensor, dtype, offset, length };
    });
    if (end === 0) return parts.map(({ tensor, dtype }) => host(tensor, dtype, new ArrayBuffer(0)));
    const staging = gpu.createBuffer({ size: end, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    try {
      const encoder = gpu.createCommandEncoder();
      for (const { tensor, offset, length } of parts) {
        // The runtime rounds its buffers up to 16 bytes, so the rounded copy stays inside.
        if (length > 0) {
          encoder.copyBufferToBuffer(tensor.gpuBuffer as GPUBuffer, 0, staging, offset, Math.ceil(length / 4) * 4);
        }
      }
      gpu.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const bytes = staging.getMappedRange();
      return parts.map(({ tensor, dtype, offset, length }) =>
        host(tensor, dtype, bytes.slice(offset, offset + length))
      );
    } finally {
      staging.destroy();
    }
  };
}

function host(tensor: OrtTensor, dtype: DType, bytes: ArrayBuffer): HostTensor {
  return { dtype, dims: [...tensor.dims], data: typedArray(dtype, bytes) };
}
