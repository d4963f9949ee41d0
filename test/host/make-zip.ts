/** A zip writer that also writes what honest ones refuse to: any name, flag, mode or claimed size. */
import { crc32, deflateRawSync } from 'node:zlib';

export type ZipEntry = {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Unix mode, with its file type. */
  readonly mode?: number;
  readonly flags?: number;
  /** Size that the entry claims to unpack to. */
  readonly claims?: number;
  /** Checksum that the entry claims to have. */
  readonly crc?: number;
  /** The bytes of the name where they are not UTF-8, or are without saying so. */
  readonly rawName?: Uint8Array;
};

const UTF8_NAME = 0x800;
const DEFLATED = 8;

export function makeZip(entries: readonly ZipEntry[]): Uint8Array {
  const packed = new Map<Uint8Array, Buffer>();
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, mode = 0o100644, flags = 0, claims = bytes.length, crc = crc32(bytes), rawName } of entries) {
    const data = packed.get(bytes) ?? deflateRawSync(bytes);
    packed.set(bytes, data);
    const title = Buffer.from(rawName ?? Buffer.from(name));
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags | (rawName ? 0 : UTF8_NAME), 2);
    common.writeUInt16LE(DEFLATED, 4);
    common.writeUInt32LE(0x00210000, 6); // 1 January 1980
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(claims, 18);
    common.writeUInt16LE(title.length, 22);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((mode << 16) >>> 0, 6);
    rest.writeUInt32LE(at, 10);
    const madeByUnix = Buffer.from([20, 3]);
    directory.push(Buffer.from('PK\x01\x02'), madeByUnix, common, rest, title);
    parts.push(Buffer.from('PK\x03\x04'), common, title, data);
    at += 4 + common.length + title.length + data.length;
  }
  const index = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(index.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, index, end]);
}
