/**
 * Writes zip archives (APPNOTE 6.3.10) without compressing: weights do not shrink. Sizes are known beforehand, so an answer can say its length while large
 * entries pass through; their CRC follows them in a data descriptor.
 */
import { crc32 } from 'node:zlib';
import type { Chunks } from './streams.ts';

export type ZipEntry =
  | { readonly name: string; readonly content: Uint8Array }
  | { readonly name: string; readonly bytes: number; readonly read: () => Chunks };

const utf8 = new TextEncoder();
const VERSION_NEEDED = 20;
const FLAG_UTF8 = 0x800;
const FLAG_DESCRIPTOR = 0x8;
/** 1 January 1980, the first day of zip files: the same version always gives the same bytes. */
const DATE = 0x21;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const DESCRIPTOR_BYTES = 16;
const END_BYTES = 22;
/** Above this an archive needs zip64, which backbones are far from. */
const ARCHIVE_MAX_BYTES = 0xffff_ffff;

function record(bytes: number, write: (view: DataView) => void, name: Uint8Array = new Uint8Array(0)): Uint8Array {
  const out = new Uint8Array(bytes + name.byteLength);
  write(new DataView(out.buffer));
  out.set(name, bytes);
  return out;
}

type Placed = { readonly name: Uint8Array; readonly flags: number; readonly at: number; readonly bytes: number; crc: number };

/** Flags to name length, which the local and the central header share; `late`: the CRC and sizes come in a descriptor. */
function writeCommon(view: DataView, at: number, entry: Placed, late: boolean): void {
  view.setUint16(at, VERSION_NEEDED, true);
  view.setUint16(at + 2, entry.flags, true);
  view.setUint16(at + 8, DATE, true);
  view.setUint32(at + 10, late ? 0 : entry.crc, true);
  view.setUint32(at + 14, late ? 0 : entry.bytes, true);
  view.setUint32(at + 18, late ? 0 : entry.bytes, true);
  view.setUint16(at + 22, entry.name.byteLength, true);
}

async function* write(entries: readonly ZipEntry[]): AsyncGenerator<Uint8Array> {
  const placed: Placed[] = [];
  let at = 0;
  for (const entry of entries) {
    const inMemory = 'content' in entry;
    const flags = FLAG_UTF8 | (inMemory ? 0 : FLAG_DESCRIPTOR);
    const bytes = inMemory ? entry.content.byteLength : entry.bytes;
    const place: Placed = { name: utf8.encode(entry.name), flags, at, bytes, crc: inMemory ? crc32(entry.content) : 0 };
    placed.push(place);
    const local = (view: DataView): void => {
      view.setUint32(0, 0x0403_4b50, true);
      writeCommon(view, 4, place, !inMemory);
    };
    yield record(LOCAL_BYTES, local, place.name);
    at += LOCAL_BYTES + place.name.byteLength + bytes;
    if (inMemory) {
      yield entry.content;
      continue;
    }
    let seen = 0;
    for await (const chunk of entry.read()) {
      place.crc = crc32(chunk, place.crc);
      seen += chunk.byteLength;
      yield chunk;
    }
    if (seen !== bytes) throw new RangeError(`${entry.name} has ${seen} bytes, not ${bytes}`);
    yield record(DESCRIPTOR_BYTES, (view) => {
      view.setUint32(0, 0x0807_4b50, true);
      view.setUint32(4, place.crc, true);
      view.setUint32(8, bytes, true);
      view.setUint32(12, bytes, true);
    });
    at += DESCRIPTOR_BYTES;
  }
  let directory = 0;
  for (const place of placed) {
    const central = (view: DataView): void => {
      view.setUint32(0, 0x0201_4b50, true);
      view.setUint16(4, VERSION_NEEDED, true);
      writeCommon(view, 6, place, false);
      view.setUint32(42, place.at, true);
    };
    yield record(CENTRAL_BYTES, central, place.name);
    directory += CENTRAL_BYTES + place.name.byteLength;
  }
  yield record(END_BYTES, (view) => {
    view.setUint32(0, 0x0605_4b50, true);
    view.setUint16(8, placed.length, true);
    view.setUint16(10, placed.length, true);
    view.setUint32(12, directory, true);
    view.setUint32(16, at, true);
  });
}

/** An archive of these entries and its exact length. Throws RangeError when it would need zip64. */
export function zip(entries: readonly ZipEntry[]): { readonly bytes: number; readonly chunks: Chunks } {
  const bytes = entries.reduce((sum, entry) => {
    const name = utf8.encode(entry.name).byteLength;
    const content = 'content' in entry ? entry.content.byteLength : entry.bytes + DESCRIPTOR_BYTES;
    return sum + LOCAL_BYTES + CENTRAL_BYTES + 2 * name + content;
  }, END_BYTES);
  if (bytes > ARCHIVE_MAX_BYTES) throw new RangeError(`an archive of ${bytes} bytes is too large`);
  return { bytes, chunks: write(entries) };
}
