/**
 * What a thread that computes may do.
 *
 * @module
 */
import { MODULES, modulesPermission } from "./provider.ts";

/**
 * For `openThread`: read node_modules and `read` (a model folder), load the native addon if this process may, know the
 * CPU's name and `UNMASK_ALLOW_SOFTWARE_GPU` if this process may. No network, no writing, no subprocesses.
 */
export async function enginePermissions(read: readonly URL[] = []): Promise<Deno.PermissionOptionsObject> {
  const may = async (permission: Deno.PermissionDescriptor) =>
    (await Deno.permissions.query(permission)).state === "granted";
  const software = "UNMASK_ALLOW_SOFTWARE_GPU";
  return {
    read: [MODULES, ...read],
    ffi: await modulesPermission("ffi") ? [MODULES] : false,
    sys: await may({ name: "sys", kind: "cpus" }) ? ["cpus"] : false,
    env: await may({ name: "env", variable: software }) ? [software] : false,
    net: false,
    run: false,
    write: false,
  };
}
