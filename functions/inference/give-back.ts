/** Memory of a run that is over. */

/**
 * Frees the bytes behind `data` at once, where they are its alone: an isolate's 128 MB count garbage too, and nothing presses the collector while only
 * buffers pile up. Nobody may read `data` afterwards; it is detached.
 */
export function giveBack(data: ArrayBufferView | readonly string[]): void {
  if (!ArrayBuffer.isView(data)) return;
  const { buffer } = data;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === data.byteLength) buffer.transfer(0);
}
