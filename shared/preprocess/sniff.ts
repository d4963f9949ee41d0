/** Reads a picture's format and size from its first bytes, before anything is decoded, so that a bomb is refused by its header. */

export type PictureFormat = 'jpeg' | 'png' | 'webp';
export type PictureHeader = {
  readonly format: PictureFormat;
  readonly contentType: string;
  readonly width: number;
  readonly height: number;
  readonly progressive: boolean;
  readonly lossless: boolean;
  readonly alpha: boolean;
  /** Of WebP; an animated PNG shows its first picture to whoever knows of no others. */
  readonly animated?: boolean;
  /** EXIF orientation 1–8 (1 when absent). */
  readonly orientation: number;
};

const ascii = (b: Uint8Array, at: number, length: number): string => String.fromCharCode(...b.subarray(at, at + length));

/**
 * @returns the header; null when the bytes are not a JPEG, PNG or WebP at all; `'cut'` when they begin as one but end before the size is known.
 */
export function sniffHeader(b: Uint8Array): PictureHeader | 'cut' | null {
  if (b.length >= 3 && b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff) return sniffJpeg(b);
  if (b.length >= 8 && b[0] === 0x89 && ascii(b, 1, 3) === 'PNG' && b[4] === 13 && b[5] === 10 && b[6] === 26 && b[7] === 10) return sniffPng(b);
  if (b.length >= 12 && ascii(b, 0, 4) === 'RIFF' && ascii(b, 8, 4) === 'WEBP') return sniffWebp(b);
  return null;
}

/** As `sniffHeader`, with null for anything whose header cannot be read. */
export function sniffPicture(bytes: Uint8Array): PictureHeader | null {
  const header = sniffHeader(bytes);
  return header === 'cut' ? null : header;
}

function sniffJpeg(b: Uint8Array): PictureHeader | 'cut' {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  let orientation = 1;
  let at = 2;
  while (at + 4 <= b.length) {
    if (b[at] !== 0xff) {
      at++;
      continue;
    }
    const marker = b[at + 1] ?? 0;
    if (marker === 0xff) {
      at++;
      continue;
    }
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2;
      continue;
    }
    const length = view.getUint16(at + 2);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) {
      if (at + 9 > b.length) return 'cut';
      // SOF2, 6, 10 and 14 are the progressive ones.
      const progressive = (marker & 3) === 2;
      return {
        format: 'jpeg',
        contentType: 'image/jpeg',
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        progressive,
        lossless: false,
        alpha: false,
        orientation,
      };
    }
    if (marker === 0xe1 && ascii(b, at + 4, 6) === 'Exif\0\0') orientation = exifOrientation(b.subarray(at + 10, at + 2 + length)) ?? orientation;
    if (marker === 0xda || marker === 0xd9) return 'cut';
    at += 2 + length;
  }
  return 'cut';
}

function sniffPng(b: Uint8Array): PictureHeader | 'cut' {
  if (b.length < 33 || ascii(b, 12, 4) !== 'IHDR') return 'cut';
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  const colour = b[25] ?? 0;
  return {
    format: 'png',
    contentType: 'image/png',
    width: view.getUint32(16),
    height: view.getUint32(20),
    progressive: b[28] === 1,
    lossless: true,
    alpha: colour === 4 || colour === 6,
    orientation: pngOrientation(b),
  };
}

/** PNG may carry EXIF in an `eXIf` chunk (PNG third edition, 11.3.4.5); only chunks before the first IDAT are looked at. */
function pngOrientation(b: Uint8Array): number {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  let at = 33;
  while (at + 12 <= b.length) {
    const length = view.getUint32(at);
    const name = ascii(b, at + 4, 4);
    if (name === 'IDAT') return 1;
    if (name === 'eXIf') return exifOrientation(b.subarray(at + 8, at + 8 + length)) ?? 1;
    at += 12 + length;
  }
  return 1;
}

function sniffWebp(b: Uint8Array): PictureHeader | 'cut' {
  if (b.length < 30) return 'cut';
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  const kind = ascii(b, 12, 4);
  const base = { format: 'webp', contentType: 'image/webp', progressive: false, orientation: 1 } as const;
  if (kind === 'VP8 ')
    return { ...base, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff, lossless: false, alpha: false };
  if (kind === 'VP8L') {
    const bits = view.getUint32(21, true);
    return { ...base, width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1, lossless: true, alpha: ((bits >> 28) & 1) === 1 };
  }
  if (kind !== 'VP8X') return 'cut';
  const flags = b[20] ?? 0;
  const u24 = (at: number): number => (b[at] ?? 0) | ((b[at + 1] ?? 0) << 8) | ((b[at + 2] ?? 0) << 16);
  let lossless = false;
  let orientation = 1;
  let at = 30;
  while (at + 8 <= b.length) {
    const name = ascii(b, at, 4);
    const length = view.getUint32(at + 4, true);
    if (name === 'VP8L') lossless = true;
    if (name === 'EXIF') {
      const skip = ascii(b, at + 8, 6) === 'Exif\0\0' ? 6 : 0;
      orientation = exifOrientation(b.subarray(at + 8 + skip, at + 8 + length)) ?? 1;
    }
    at += 8 + length + (length & 1);
  }
  return { ...base, width: u24(24) + 1, height: u24(27) + 1, lossless, alpha: (flags & 0x10) !== 0, animated: (flags & 0x02) !== 0, orientation };
}

/** Tag 0x0112 of IFD0 (TIFF 6.0 / EXIF 2.3, 4.6.4); null when there is none or the block is damaged. */
function exifOrientation(tiff: Uint8Array): number | null {
  if (tiff.length < 14) return null;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return null;
  const little = order === 0x4949;
  const ifd = view.getUint32(4, little);
  if (ifd + 2 > tiff.length) return null;
  const entries = view.getUint16(ifd, little);
  for (let i = 0; i < entries; i++) {
    const at = ifd + 2 + 12 * i;
    if (at + 12 > tiff.length) return null;
    if (view.getUint16(at, little) !== 0x0112) continue;
    const value = view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : null;
  }
  return null;
}
