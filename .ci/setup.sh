#!/bin/sh
# System packages that the tests use on Debian 12 or newer, as root. Without them WebGPU tests are skipped by name;
# with UNMASK_REQUIRE_WEBGPU=1, as in .ci/run, they fail instead.
#   libvulkan1            the Vulkan loader, which Deno's navigator.gpu opens
#   mesa-vulkan-drivers   lavapipe, a Vulkan device on the CPU (22.3.6 is enough for Deno's WebGPU)
set -eu
missing=""
for package in libvulkan1 mesa-vulkan-drivers; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
apt-get update -q
# shellcheck disable=SC2086 -- a list of names
DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $missing
