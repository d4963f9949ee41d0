#!/bin/sh
# Builds ../imgdec.wasm from Debian 12 source archives with zig's clang. Same inputs give the same bytes:
#   pip install ziglang==0.17.1 && PYTHON=python3 ./build.sh
set -eu
cd "$(dirname "$0")"
HERE=$PWD
PYTHON=${PYTHON:-python3}
MIRROR=${MIRROR:-http://deb.debian.org/debian/pool/main}
WORK=${WORK:-$(mktemp -d)}
cd "$WORK"
while read -r sum path; do
  file=$(basename "$path")
  [ -f "$file" ] || curl -sSfLO "$MIRROR/$path"
  echo "$sum  $file" | sha256sum -c - >/dev/null || { echo "$file does not have the recorded SHA-256" >&2; exit 1; }
  mkdir -p "src-${file%%_*}"
  tar -xf "$file" -C "src-${file%%_*}" --strip-components=1
done <"$HERE/sources.txt"
J=src-libjpeg-turbo W=src-libwebp P=src-libspng Z=src-zlib
SRC="imgdec.c alloc.c"
cp "$HERE/imgdec.c" "$HERE/alloc.c" .
rm -rf cfg && cp -r "$HERE/cfg" cfg
for f in jdapimin jdapistd jdatasrc jdcoefct jdcolor jddctmgr jdhuff jdarith jaricom jdinput jdmainct jdmarker jdmaster jdmerge jdphuff jdpostct jdsample jerror jidctflt jidctfst jidctint jidctred jmemmgr jmemnobs jutils jquant1 jquant2 jcomapi jsimd_none; do SRC="$SRC $J/$f.c"; done
SRC="$SRC $P/spng/spng.c"
for f in adler32 crc32 inffast inflate inftrees zutil deflate trees; do SRC="$SRC $Z/$f.c"; done
for f in alpha_dec buffer_dec frame_dec idec_dec io_dec quant_dec tree_dec vp8_dec vp8l_dec webp_dec; do SRC="$SRC $W/src/dec/$f.c"; done
for f in alpha_processing cpu dec dec_clip_tables filters lossless rescaler upsampling yuv; do SRC="$SRC $W/src/dsp/$f.c"; done
for f in bit_reader_utils color_cache_utils filters_utils huffman_utils quant_levels_dec_utils rescaler_utils random_utils thread_utils utils; do SRC="$SRC $W/src/utils/$f.c"; done
# shellcheck disable=SC2086
$PYTHON -m ziglang cc -target wasm32-wasi -O3 -msimd128 -mbulk-memory -DNDEBUG -DWITH_SIMD_OFF -DSPNG_DISABLE_OPT_X -mexec-model=reactor \
  -Icfg -I$J -I$P/spng -I$Z -I$W -I$W/src -fno-sanitize=all -fno-builtin-malloc -fno-builtin-calloc -Wno-everything \
  -o imgdec.wasm $SRC -Wl,--strip-all -Wl,-z,stack-size=262144 -Wl,--import-memory -Wl,--initial-memory=1048576 -Wl,--max-memory=25165824
cp imgdec.wasm "$HERE/../imgdec.wasm"
sha256sum "$HERE/../imgdec.wasm"
