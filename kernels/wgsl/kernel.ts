/**
 * What a kernel of our own is: WGSL text under a name. Nothing here knows a device; core/engine compiles and runs them.
 *
 * Every kernel has the entry point `main`, at binding 0 of group 0 a uniform struct of 4-byte scalars in the order of
 * its `params`, and from binding 1 on its storage buffers in the order that its comment gives.
 *
 * @module
 */

export interface Kernel {
  readonly name: string;
  readonly code: string;
  /** Scalars of the uniform struct, in order. */
  readonly params: readonly Param[];
}

export type Param = readonly [name: string, type: "u32" | "f32"];

/** A kernel whose text knows its parameters as `params.NAME`. */
export function kernel<const P extends readonly Param[]>(
  name: string,
  params: P,
  code: string,
): Kernel & { readonly params: P } {
  const fields = params.map(([field, type]) => `  ${field}: ${type},`).join("\n");
  const head = `struct Params {\n${fields}\n}\n@group(0) @binding(0) var<uniform> params: Params;\n`;
  return { name, params, code: head + code };
}

/** The values of a kernel's scalars, by name. */
export type ParamValues<P extends readonly Param[]> = { readonly [K in P[number][0]]: number };

/**
 * The bytes of the uniform struct, a multiple of 16.
 *
 * @param values u32 as any number with these low 32 bits
 */
export function packParams<P extends readonly Param[]>(
  { params }: { readonly params: P },
  values: ParamValues<P>,
): ArrayBuffer {
  const bytes = new ArrayBuffer(Math.ceil(params.length / 4) * 16);
  const view = new DataView(bytes);
  const byName: Readonly<Record<string, number>> = values;
  params.forEach(([name, type], index) => {
    const value = byName[name] ?? NaN;
    if (type === "f32") view.setFloat32(4 * index, value, true);
    else view.setUint32(4 * index, value, true);
  });
  return bytes;
}

/** Invocations of one workgroup, in every kernel. */
export const THREADS = 256;

/** Workgroups for one invocation an item. */
export function groupsFor(items: number): number {
  return Math.ceil(items / THREADS);
}
