/** The files of a piece of work, to object storage: small ones at once, large ones in parts that are repeated each alone. */
import type { JoinRequest, PartsTarget } from '../../shared/runner.ts';
import type { Context } from './train-work.ts';
import { sha256OfFile, upload } from './transfer.ts';

export type NamedFile = { readonly name: string; readonly file: string; readonly sha256: string; readonly bytes: number };
type Needs = {
  readonly api: Pick<Context['api'], 'artifacts' | 'part' | 'join'>;
  readonly lease: Pick<Context['lease'], 'token'>;
  readonly keeper: Pick<Context['keeper'], 'signal'>;
};

type PartsApi = { readonly api: Pick<Context['api'], 'part' | 'join'> };

const ABORT_MS = 10_000;

/** In the order given. Of what was not sent in the end, no part stays with the store. */
export async function sendFiles(c: Needs, files: readonly NamedFile[]): Promise<void> {
  const { uploads, in_parts: inParts } = await c.api.artifacts(
    c.lease.token,
    files.map(({ name, sha256, bytes }) => ({ name, sha256, bytes })),
  );
  try {
    for (const file of files) {
      const parts = inParts[file.name];
      const whole = uploads[file.name];
      if (parts) await sendParts(c, file, parts, c.keeper.signal);
      else if (whole) await upload(file.file, whole, c.keeper.signal);
      else throw new Error(`the Worker gave no address for ${file.name}`);
    }
  } catch (error) {
    // What was joined is an object by now, and stays.
    await Promise.all(Object.values(inParts).map(takeBack));
    throw error;
  }
}

/** A checkpoint, of which no part stays with the store when it was not sent in the end. `signal` is not that of a stop, which is why it is written. */
export async function sendCheckpoint(
  c: Pick<Needs, 'lease'> & PartsApi,
  file: Omit<NamedFile, 'sha256'>,
  to: PartsTarget,
  signal: AbortSignal,
): Promise<void> {
  try {
    await sendParts(c, file, to, signal);
  } catch (error) {
    await takeBack(to);
    throw error;
  }
}

/** One after another: the store's SHA-256 of a part is signed, so each is read twice, and the second time from the system's memory. */
async function sendParts(
  c: Pick<Needs, 'lease'> & PartsApi,
  { name, file, bytes }: Omit<NamedFile, 'sha256'>,
  { upload: id, part_bytes: partBytes }: PartsTarget,
  signal: AbortSignal,
): Promise<void> {
  const parts: JoinRequest['parts'] = [];
  for (let start = 0; start < bytes; start += partBytes) {
    signal.throwIfAborted();
    const slice = { start, bytes: Math.min(partBytes, bytes - start) };
    const number = parts.length + 1;
    const sha256 = await sha256OfFile(file, slice);
    const { upload: to } = await c.api.part(c.lease.token, { name, upload: id, number, sha256, bytes: slice.bytes });
    parts.push({ number, sha256, etag: await upload(file, to, signal, slice) });
  }
  signal.throwIfAborted();
  await c.api.join(c.lease.token, { name, upload: id, bytes, part_bytes: partBytes, parts });
}

/** Not the keeper's signal: this happens because of a stop. What cannot be reached now is ended by the bucket's own rule. */
async function takeBack({ abort }: PartsTarget): Promise<void> {
  try {
    const response = await fetch(abort, { method: 'DELETE', signal: AbortSignal.timeout(ABORT_MS) });
    await response.body?.cancel();
  } catch (error) {
    process.stderr.write(`${new Date().toISOString()} parts stay with the store: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}
