/**
 * The one picture decoder of edge, trainer and browser: libjpeg-turbo, libspng and libwebp as wasm (build/), inside one memory with a hard
 * maximum. Each picture gets a fresh instance (~60 µs) whose allocator starts at the bottom again: whatever a hostile file does, it ends as an
 * error and the next picture works. Full decodes need up to 200 MiB for a phone photograph; this one streams rows and needs under 10.
 */
import { GraftError } from '../errors.ts';
import { DECODER_MEMORY_MAX_PAGES, IMAGE_MAX_BYTES, IMAGE_SQUARE_SIDE_PX, PIXELS_MAX } from '../limits.ts';
import { orientSquare } from './orientation.ts';
import { sniffHeader, type PictureFormat, type PictureHeader } from './sniff.ts';

export type Square = { readonly pixels: Uint8Array; readonly width: number; readonly height: number; readonly format: PictureFormat };
export type Decoder = {
  /** The upright centre square as IMAGE_SQUARE_SIDE_PX² × 3 RGB bytes, alpha on white. Synchronous: buffer the body first. */
  decodeSquare(bytes: Uint8Array): Square;
  /** Bytes of wasm memory in use by the decoder (its high-water mark). */
  memoryBytes(): number;
};

type Exports = {
  _initialize(): void;
  in_alloc(bytes: number): number;
  out_ptr(): number;
  info_ptr(): number;
  jpeg_dec(bytes: number, side: number, cropPerMille: number, minShort: number, maxCoefficientKb: number): number;
  png_dec(bytes: number, side: number, cropPerMille: number, minShort: number): number;
  webp_dec(offset: number, bytes: number, side: number, cropPerMille: number, minShort: number): number;
};

class DecodeFailure extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`decoder code ${code}`);
    this.code = code;
  }
}

const OUT_OF_MEMORY = 3;
const WHOLE_SQUARE = 1000;
/** Reduced pictures keep at least 1.5 times the square so that the last, antialiased step has something to average. */
const MIN_SHORT_PX = Math.trunc(IMAGE_SQUARE_SIDE_PX * 1.5);
/** JPEG codes that say "cut off": warnings are counted in info[5]. */
const INFO_WARNINGS = 5;
const ADVICE = 'Graft reads JPEG, PNG and WebP.';

/** Checks a picture's header against the limits. Throws a GraftError that says the size and the limit. */
export function checkPicture(bytes: Uint8Array): PictureHeader {
  if (bytes.length === 0) throw new GraftError('empty_body', 'The picture has no bytes.');
  if (bytes.length > IMAGE_MAX_BYTES)
    throw new GraftError('body_too_large', `The picture has ${bytes.length} bytes; the limit is ${IMAGE_MAX_BYTES} (10 MB).`);
  const header = sniffHeader(bytes);
  if (header === null) throw new GraftError('unsupported_media_type', `The bytes are not a picture that Graft knows. ${ADVICE}`);
  if (header === 'cut') throw new GraftError('picture_truncated', 'The picture ends inside its own header.');
  if (header.animated) throw new GraftError('picture_invalid', 'The WebP is animated; send one of its pictures as a still one.');
  const { width, height } = header;
  if (width < 1 || height < 1) throw new GraftError('picture_invalid', `The picture says that it is ${width}×${height} pixels.`);
  const kind = pixelLimit(header);
  if (width * height > PIXELS_MAX[kind])
    throw new GraftError(
      'picture_too_large',
      `The picture is ${width}×${height} = ${width * height} pixels; the limit for ${kind.replace('_', ', ')} is ${PIXELS_MAX[kind]} pixels.`,
    );
  return header;
}

function pixelLimit(h: PictureHeader): keyof typeof PIXELS_MAX {
  if (h.format === 'jpeg') return h.progressive ? 'jpeg_progressive' : 'jpeg';
  if (h.format === 'png') return 'png';
  if (h.alpha) return 'webp_alpha';
  return h.lossless ? 'webp_lossless' : 'webp';
}

/** @param module the compiled `imgdec.wasm` (Workers import it; Node and browsers compile its bytes) */
export function makeDecoder(module: WebAssembly.Module): Decoder {
  let memory: WebAssembly.Memory | undefined;
  const decodeSquare = (bytes: Uint8Array): Square => {
    const header = checkPicture(bytes);
    if (!endsProperly(bytes, header))
      throw new GraftError('picture_truncated', `The ${header.format.toUpperCase()} ends before its data is complete.`);
    const m = (memory ??= new WebAssembly.Memory({ initial: 16, maximum: DECODER_MEMORY_MAX_PAGES }));
    const engine = instantiate(module, m);
    try {
      const at = engine.in_alloc(bytes.length);
      new Uint8Array(m.buffer, at, bytes.length).set(bytes);
      if (header.format === 'jpeg') engine.jpeg_dec(bytes.length, IMAGE_SQUARE_SIDE_PX, WHOLE_SQUARE, MIN_SHORT_PX, 1 << 30);
      else if (header.format === 'png') engine.png_dec(bytes.length, IMAGE_SQUARE_SIDE_PX, WHOLE_SQUARE, MIN_SHORT_PX);
      else engine.webp_dec(0, bytes.length, IMAGE_SQUARE_SIDE_PX, WHOLE_SQUARE, MIN_SHORT_PX);
    } catch (cause) {
      throw explain(cause, header);
    }
    const info = new Int32Array(m.buffer, engine.info_ptr(), 16);
    if (header.format === 'jpeg' && (info[INFO_WARNINGS] ?? 0) > 0)
      throw new GraftError('picture_truncated', 'The JPEG is truncated or damaged: its data ends early or cannot be read to the end.');
    const stored = new Uint8Array(m.buffer, engine.out_ptr(), IMAGE_SQUARE_SIDE_PX * IMAGE_SQUARE_SIDE_PX * 3).slice();
    const pixels = orientSquare(stored, IMAGE_SQUARE_SIDE_PX, header.orientation);
    return { pixels, width: header.width, height: header.height, format: header.format };
  };
  return { decodeSquare, memoryBytes: () => memory?.buffer.byteLength ?? 0 };
}

function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Exports {
  const ok = (): number => 0;
  const noEnvironment = (count: number): number => {
    new DataView(memory.buffer).setUint32(count, 0, true);
    return 0;
  };
  const fail = (code: number): never => {
    throw new DecodeFailure(code);
  };
  const instance = new WebAssembly.Instance(module, {
    env: { memory, fail },
    wasi_snapshot_preview1: {
      fd_close: ok,
      fd_seek: ok,
      fd_write: ok,
      fd_fdstat_get: ok,
      environ_get: ok,
      environ_sizes_get: noEnvironment,
      proc_exit: fail,
    },
  });
  const engine = instance.exports as unknown as Exports;
  engine._initialize();
  return engine;
}

/** PNG must have its IEND chunk and WebP all the bytes that its RIFF header promises; JPEG says so itself while decoding. */
function endsProperly(b: Uint8Array, header: PictureHeader): boolean {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  if (header.format === 'webp') return b.length >= view.getUint32(4, true) + 8;
  if (header.format === 'jpeg') return true;
  let at = 8;
  while (at + 12 <= b.length) {
    const length = view.getUint32(at);
    if (view.getUint32(at + 4) === 0x49454e44) return true;
    at += 12 + length;
  }
  return false;
}

function explain(cause: unknown, header: PictureHeader): unknown {
  const name = header.format.toUpperCase();
  if (cause instanceof DecodeFailure) {
    if (cause.code === OUT_OF_MEMORY)
      return new GraftError('picture_too_large', `The ${name} of ${header.width}×${header.height} pixels needs more memory than a picture may use.`, {
        cause,
      });
    return new GraftError('picture_invalid', `The ${name} is damaged and cannot be decoded (decoder code ${cause.code}).`, { cause });
  }
  // A trap (out of bounds, stack, unreachable): the instance is thrown away, the file is to blame.
  if (cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError)
    return new GraftError('picture_invalid', `The ${name} is damaged and cannot be decoded.`, { cause });
  return cause;
}
