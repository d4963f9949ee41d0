/**
 * What a host says while the engine works: events for the job's log, and checkpoints. Neither is worth the training. A Worker or a store that cannot be
 * reached for a while costs the words or the checkpoint; whether the lease still holds is for the heartbeats and for a stale token to say.
 */
import { rm } from 'node:fs/promises';
import type { EngineLine } from '../../shared/engine.ts';
import type { HostEvent } from '../../shared/runner.ts';
import { sendCheckpoint } from './send-files.ts';
import type { Context } from './train-work.ts';
import { upload } from './transfer.ts';
import { StaleLease } from './worker-api.ts';

type Needs<Verbs extends keyof Context['api']> = {
  readonly api: Pick<Context['api'], Verbs>;
  readonly lease: Pick<Context['lease'], 'token'>;
};

/** How long a checkpoint may take, and how slow a line may be beside that: a whole network's has hundreds of megabytes. */
const CHECKPOINT_MS = 60_000;
const BYTES_PER_MS_MIN = 500;

/** Rejects only when the lease is somebody else's. */
export async function tell(c: Needs<'events'>, events: HostEvent[]): Promise<void> {
  await orGoOn('events were not taken', async () => await c.api.events(c.lease.token, events));
}

/** The checkpoints of one lease. The last one stays on the disk: an engine that is started again on this host goes on from it. */
export class Checkpoints {
  #last: string | null = null;

  get last(): string | null {
    return this.#last;
  }

  /** Uploads it, and deletes the one before. Rejects only when the lease is somebody else's: without it the next host starts from an older one. */
  async store(
    c: Needs<'events' | 'checkpoint' | 'part' | 'join'>,
    { file, epoch, sha256, bytes }: Extract<EngineLine, { type: 'checkpoint' }>,
  ): Promise<void> {
    const before = this.#last;
    this.#last = file;
    const stored = await orGoOn('a checkpoint was not stored', async () => {
      const facts = { epoch, sha256, bytes };
      const { upload: whole, in_parts: parts } = await c.api.checkpoint(c.lease.token, { ...facts, stored: false });
      // Not the keeper's signal: a checkpoint written because of a stop must still arrive.
      const signal = AbortSignal.timeout(CHECKPOINT_MS + Math.ceil(bytes / BYTES_PER_MS_MIN));
      if (parts) await sendCheckpoint(c, { name: parts.name, file, bytes }, parts, signal);
      else if (whole) await upload(file, whole, signal);
      else return;
      await c.api.checkpoint(c.lease.token, { ...facts, stored: true });
    });
    // A whole network's are hundreds of megabytes each.
    if (before !== null && before !== file) await rm(before, { force: true });
    if (!stored) await tell(c, [{ type: 'log', level: 'warning', message: 'A checkpoint could not be stored; the training goes on.' }]);
  }
}

async function orGoOn(what: string, say: () => Promise<void>): Promise<boolean> {
  try {
    await say();
    return true;
  } catch (error) {
    if (error instanceof StaleLease) throw error;
    process.stderr.write(`${new Date().toISOString()} ${what}: ${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  }
}
