/**
 * What time alone makes necessary, once a minute: hosts that vanished, completions half carried out, events and deliveries that no queue message
 * announces any more, uploads that nobody finished, checkpoints that nothing goes on from, files that ended work left, and what is older than it is kept. Each part is safe to
 * repeat; a failure of one does not stop the others.
 */
import { EVENTS_KEPT_DAYS } from '../../../shared/limits.ts';
import type { Deps } from '../../deps.ts';
import { forgetCheckpoint, uselessCheckpoints } from '../../stores/checkpoints.ts';
import { closeUpload, staleUploads } from '../../stores/datasets.ts';
import { forgetOldEvents } from '../../stores/events.ts';
import { forgetOldIdempotencyKeys } from '../../stores/idempotency.ts';
import { dueDeliveries, forgetOldDeliveries } from '../../stores/webhooks.ts';
import { expireLeases } from '../runner/expire-leases.ts';
import { announceDeliveries } from '../webhooks/announce-deliveries.ts';
import { fanOut } from '../webhooks/fan-out.ts';
import { tidyLeftovers } from './tidy-leftovers.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'classifier' | 'deliveries' | 'newId' | 'now'>;

const DELIVERIES = 500;
const UPLOADS = 20;
/** API: an idempotency key is kept for a day. */
const IDEMPOTENCY_KEPT_MS = 24 * 3_600_000;
/** A client may still complete an upload for this long after its URLs ran out. */
const UPLOAD_GRACE_MS = 24 * 3_600_000;
/** An ended job goes on from nothing; until then its checkpoints can be looked at (docs/storage.md). */
const CHECKPOINTS_KEPT_MS = 7 * 24 * 3_600_000;
const CHECKPOINTS = 50;
/** More go with the next sweep. */
const OLD_ROWS = 1_000;

export async function sweep(deps: Needs): Promise<void> {
  const parts: Record<string, () => Promise<unknown>> = {
    leases: () => expireLeases(deps),
    outbox: () => fanOut(deps),
    deliveries: async () =>
      await announceDeliveries(
        deps,
        (await dueDeliveries(deps.db, deps.now(), DELIVERIES)).map((row) => row.id),
      ),
    uploads: () => abortStaleUploads(deps),
    checkpoints: () => deleteUselessCheckpoints(deps),
    leftovers: () => tidyLeftovers(deps),
    old: async () => {
      const before = deps.now() - EVENTS_KEPT_DAYS * 24 * 3_600_000;
      await forgetOldDeliveries(deps.db, before, OLD_ROWS);
      await forgetOldEvents(deps.db, before, OLD_ROWS);
    },
    idempotency: () => forgetOldIdempotencyKeys(deps.db, deps.now() - IDEMPOTENCY_KEPT_MS),
  };
  for (const [part, run] of Object.entries(parts)) {
    try {
      await run();
    } catch (error) {
      console.error(JSON.stringify({ message: 'a part of the sweep failed; the next one tries again', part, error: forTheLog(error) }));
    }
  }
}

async function abortStaleUploads(deps: Needs): Promise<void> {
  for (const upload of await staleUploads(deps.db, deps.now() - UPLOAD_GRACE_MS, UPLOADS)) {
    await deps.objects.abortMultipart(upload.objectKey, upload.multipartId);
    await closeUpload(deps.db, upload.id, 'aborted');
  }
}

/** The objects first: a row that is left after a failure is looked at again, an object without a row never. */
async function deleteUselessCheckpoints(deps: Needs): Promise<void> {
  const rows = await uselessCheckpoints(deps.db, deps.now() - CHECKPOINTS_KEPT_MS, CHECKPOINTS);
  await deps.objects.delete(rows.map((row) => row.objectKey));
  for (const row of rows) await forgetCheckpoint(deps.db, row);
}
