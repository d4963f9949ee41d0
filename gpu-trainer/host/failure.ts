/** What a host reports when it could not do its work: a code that the job's owner understands, without paths of the host, and whether to try again. */
import { isDiskFull, TransferRefused } from './transfer.ts';

export type Failure = { readonly code: string; readonly detail: string; readonly retryable: boolean; readonly blame: 'caller' | 'graft' };

/** Every failure of a host is ours: what is the caller's is said by the validation or by the engine. */
export function failureOf(error: unknown): Failure {
  const ours = { retryable: true, blame: 'graft' } as const;
  if (isDiskFull(error)) return { code: 'disk_full', detail: 'The trainer host has no disk space left for this work.', ...ours };
  if (error instanceof TransferRefused) {
    if (error.status === null)
      return { code: 'input_corrupt', detail: 'A file in object storage does not have the digest that was recorded for it.', ...ours };
    return { code: 'store_refused', detail: `Object storage answered ${error.status} for a file of this work.`, ...ours };
  }
  return { code: 'host_failed', detail: withoutPaths(error instanceof Error ? error.message : String(error)), ...ours };
}

/** What a program said when it broke, for the job's owner: of each path of this machine its last part. URLs stay, and so does a single name. */
export function withoutPaths(text: string): string {
  return text.replaceAll(/(?<![\w:/.])\/(?:[^\s'"`:,;()/]+\/)+([^\s'"`:,;()/]*)/g, '…/$1');
}
