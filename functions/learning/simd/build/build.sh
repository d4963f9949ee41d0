#!/bin/sh
# Builds ../dot.wasm with zig's clang. Same inputs give the same bytes:
#   pip install ziglang==0.17.1 && PYTHON=python3 ./build.sh
set -eu
cd "$(dirname "$0")"
PYTHON=${PYTHON:-python3}
OUT=${OUT:-../dot.wasm}
$PYTHON -m ziglang cc -target wasm32-freestanding -O3 -msimd128 -nostdlib -fno-sanitize=all -o "$OUT" dot.c shorts.c \
  -Wl,--no-entry -Wl,--strip-all -Wl,--import-memory -Wl,-z,stack-size=4096 -Wl,--initial-memory=65536
sha256sum "$OUT"
