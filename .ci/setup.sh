#!/usr/bin/env bash
# What a bare Debian machine lacks for the tests: a software Vulkan driver (WebGPU without a GPU), and denokv.
set -euo pipefail
need=()
dpkg -s libvulkan1 >/dev/null 2>&1 || need+=(libvulkan1)
dpkg -s mesa-vulkan-drivers >/dev/null 2>&1 || need+=(mesa-vulkan-drivers)
if [ ${#need[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${need[@]}" >/dev/null
fi

# The self-hosted key-value server, for the tests of what several processes share. Built once, kept under the home
# directory (UNMASK_CACHE: another folder; UNMASK_DENOKV: a binary that is there already). Unoptimised: the build is what
# costs here, not the server. Without it those tests say so and count as skipped.
denokv_version=0.14.0
cache="${UNMASK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/unmask}"
denokv="${UNMASK_DENOKV:-$cache/denokv-$denokv_version/bin/denokv}"
if [ ! -x "$denokv" ] && [ -z "${UNMASK_DENOKV:-}" ]; then
  if ! command -v protoc >/dev/null 2>&1; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq protobuf-compiler >/dev/null ||
      { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq protobuf-compiler >/dev/null; } ||
      echo "no protobuf-compiler"
  fi
  echo "building denokv $denokv_version (once; some minutes)"
  mkdir -p "$cache"
  TIMEFORMAT="denokv: built in %R s, %U s of CPU"
  time CARGO_NET_RETRY=10 CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_LTO=off \
    timeout 600 cargo install denokv --version "$denokv_version" --locked --quiet \
    --root "$cache/denokv-$denokv_version" --target-dir "$cache/denokv-build" &&
    rm -rf "$cache/denokv-build"
fi
if [ -x "$denokv" ] && "$denokv" --help >/dev/null; then echo "denokv $denokv_version"; else echo "*** NO DENOKV: tests of a shared store will be skipped ***"; fi
