#!/bin/sh
# Gets a C compiler on a bare Debian: the tests build a stand-in for NVIDIA's library.
command -v cc >/dev/null && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -q && apt-get install -qy --no-install-recommends gcc libc6-dev && exit 0
fi
echo "gpuyard: no C compiler; the tests of the emulated NVML library are skipped. Get one: sudo apt install gcc libc6-dev" >&2
