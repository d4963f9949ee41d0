/** Answers that are made while they are sent, with the length that was promised. */
import { toStream, type Chunks } from '../exports/streams.ts';
import { forTheLog } from '../domain/for-the-log.ts';

/** A body of exactly `bytes` bytes. A fault on the way ends the connection early, which the promised length makes visible to the caller. */
export function bodyOf(chunks: Chunks, bytes: number): ReadableStream<Uint8Array> {
  // Without it the runtime sends chunks of unknown number and drops the content-length header.
  const fixed = new FixedLengthStream(bytes);
  toStream(chunks)
    .pipeTo(fixed.writable)
    .catch((error: unknown) => console.warn(JSON.stringify({ message: 'a download ended early', error: forTheLog(error) })));
  return fixed.readable;
}
