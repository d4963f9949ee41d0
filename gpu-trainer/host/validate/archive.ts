/**
 * Reads a stranger's zip without trusting it: names that leave the folder, links, encryption, repeated names and bombs are refused before a byte
 * is unpacked, and nothing is ever written under a name from the archive.
 */
import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { ARCHIVE_MAX_BYTES, ARCHIVE_MAX_ENTRIES, ARCHIVE_MAX_RATIO } from '../../../shared/limits.ts';
import { RowError } from './row-error.ts';

const openZip = promisify<string, yauzl.Options, ZipFile>(yauzl.open);
const UNIX_TYPE = 0o170000;
const UNIX_LINK = 0o120000;
const UTF8_NAME = 0x800;
const UNICODE_PATH = 0x7075;
const IGNORED = /(^|\/)(__MACOSX\/|\.[^/]+(\/|$)|Thumbs\.db$|desktop\.ini$)/i;

export type Archive = { readonly entries: readonly Entry[]; read(entry: Entry, limit: number): Promise<Uint8Array>; close(): void };

/** Opens the archive and checks every entry. Throws RowError for the whole archive, naming the entry at fault. */
export async function openArchive(file: string, archiveBytes: number): Promise<Archive> {
  let zip: ZipFile;
  try {
    zip = await openZip(file, { lazyEntries: true, autoClose: false, strictFileNames: true, validateEntrySizes: true });
  } catch (error) {
    throw new RowError('archive_invalid', `The file is not a readable zip archive: ${(error as Error).message.replace(/\.$/, '')}.`);
  }
  try {
    if (zip.entryCount > ARCHIVE_MAX_ENTRIES)
      throw new RowError('archive_invalid', `The archive has ${zip.entryCount} entries; the limit is ${ARCHIVE_MAX_ENTRIES}.`);
    const entries = await listEntries(zip);
    checkEntries(entries, archiveBytes);
    return {
      entries: entries.filter((e) => !e.fileName.endsWith('/') && !IGNORED.test(e.fileName)),
      read: (entry, limit) => readEntry(zip, entry, limit),
      close: () => zip.close(),
    };
  } catch (error) {
    zip.close();
    throw error;
  }
}

function listEntries(zip: ZipFile): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const entries: Entry[] = [];
    zip.on('entry', (entry: Entry) => {
      entry.fileName = nameOf(entry);
      entries.push(entry);
      zip.readEntry();
    });
    zip.once('end', () => resolve(entries));
    zip.once('error', (error: Error) => {
      // yauzl refuses names in words: "invalid relative path: ../a.png".
      const name = /^(?:invalid relative path|absolute path|invalid characters in fileName): ([^]+)$/.exec(error.message)?.[1];
      reject(new RowError('archive_unsafe', `The archive was refused: ${error.message}.`, name));
    });
    zip.readEntry();
  });
}

/**
 * Finder writes names in UTF-8 and does not say so; by the letter of the format they would be code page 437, and a label `Äpfel` another one. Names that
 * really are in that code page are hardly ever valid UTF-8. (Their ASCII is the same in both, so what was checked in a name stays checked.)
 */
function nameOf(entry: Entry): string {
  if ((entry.generalPurposeBitFlag & UTF8_NAME) !== 0 || entry.extraFields.some(({ id }) => id === UNICODE_PATH)) return entry.fileName;
  return isUtf8(entry.fileNameRaw) ? entry.fileNameRaw.toString('utf8') : entry.fileName;
}

function checkEntries(entries: readonly Entry[], archiveBytes: number): void {
  const seen = new Set<string>();
  let total = 0;
  for (const e of entries) {
    const name = e.fileName;
    if (((e.externalFileAttributes >>> 16) & UNIX_TYPE) === UNIX_LINK) throw new RowError('archive_unsafe', 'The entry is a symbolic link.', name);
    if ((e.generalPurposeBitFlag & 1) === 1) throw new RowError('archive_encrypted', 'The entry is encrypted.', name);
    if (seen.has(name)) throw new RowError('archive_invalid', 'The archive holds this name twice.', name);
    seen.add(name);
    total += e.uncompressedSize;
    if (total > ARCHIVE_MAX_BYTES || total > Math.max(archiveBytes, 1_000_000) * ARCHIVE_MAX_RATIO)
      throw new RowError('archive_bomb', `The archive of ${archiveBytes} bytes unpacks to more than ${ARCHIVE_MAX_RATIO} times its size.`, name);
  }
}

/** The bytes of one entry. Throws RowError when it is over `limit` or damaged. */
function readEntry(zip: ZipFile, entry: Entry, limit: number): Promise<Uint8Array> {
  if (entry.uncompressedSize > limit)
    return Promise.reject(new RowError('file_too_large', `The file has ${entry.uncompressedSize} bytes; the limit is ${limit}.`, entry.fileName));
  return new Promise((resolve, reject) => {
    const damaged = (error: Error): void => reject(new RowError('file_damaged', `The entry cannot be unpacked: ${error.message}.`, entry.fileName));
    zip.openReadStream(entry, (error, stream) => {
      if (error) return damaged(error);
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.once('error', damaged);
      stream.once('end', () => {
        const bytes = new Uint8Array(Buffer.concat(parts));
        if (crc32(bytes) === entry.crc32) resolve(bytes);
        else damaged(new Error('its checksum does not match'));
      });
    });
  });
}
