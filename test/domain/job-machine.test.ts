/** The job machine and the webhook schedule: only moves of the table, back-off that ends, Retry-After within bounds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterFailure, decideWish, eventOf, isFinal, mayMove, sourcesOf } from '../../functions/domain/job-machine.ts';
import { afterSend, retryAfterSeconds } from '../../functions/domain/webhook-retry.ts';
import { EVENT_TYPES, JobStatus } from '../../shared/jobs.ts';
import { JOB_MAX_ATTEMPTS, WEBHOOK_RETRY_SECONDS } from '../../shared/limits.ts';

describe('job machine', () => {
  it('knows the sources of every status', () => {
    for (const to of JobStatus.options) for (const from of JobStatus.options) expect(sourcesOf(to).includes(from)).toBe(mayMove(from, to));
    expect(sourcesOf('succeeded')).toEqual(['running']);
  });
  it('never decides a move that the table forbids', () => {
    for (const wish of ['cancel', 'pause', 'resume'] as const)
      for (const status of JobStatus.options) {
        const outcome = decideWish(wish, status);
        if (outcome.kind === 'move') expect(mayMove(status, outcome.to)).toBe(true);
        if (isFinal(status)) expect(['refused', 'nothing']).toContain(outcome.kind);
      }
    expect(decideWish('pause', 'running')).toEqual({ kind: 'ask_host', command: 'pause' });
    expect(decideWish('cancel', 'running')).toEqual({ kind: 'move', to: 'cancelled' });
    expect(decideWish('cancel', 'succeeded').kind).toBe('refused');
  });
  it('has a public event for every status but validating', () => {
    for (const status of JobStatus.options) {
      const event = eventOf(status);
      if (status === 'validating') expect(event).toBeNull();
      else expect(EVENT_TYPES).toContain(event);
    }
  });
  it('backs off without end only until the attempts are used up', () => {
    const waits = Array.from({ length: JOB_MAX_ATTEMPTS - 1 }, (_, i) => afterFailure(i + 1, true, 0));
    const times = waits.map((w) => (w.kind === 'requeue' ? w.availableAt : -1));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]).toBeGreaterThan(0);
    expect(afterFailure(JOB_MAX_ATTEMPTS, true, 0)).toEqual({ kind: 'dead' });
    expect(afterFailure(1, false, 0)).toEqual({ kind: 'dead' });
  });
});

describe('webhook retries', () => {
  it('keeps to the published schedule with at most a tenth of jitter, then gives up', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: WEBHOOK_RETRY_SECONDS.length }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempts, random) => {
          const next = afterSend({ kind: 'no_answer', detail: 'refused' }, attempts, 1_000_000, random);
          const scheduled = WEBHOOK_RETRY_SECONDS[attempts];
          if (scheduled === undefined) expect(next).toEqual({ kind: 'failed' });
          else {
            if (next.kind !== 'retry') throw new Error(`expected a retry, got ${next.kind}`);
            const waited = (next.at - 1_000_000) / 1_000;
            expect(waited).toBeGreaterThanOrEqual(scheduled - 0.001);
            expect(waited).toBeLessThanOrEqual(scheduled * 1.1 + 0.001);
          }
        },
      ),
    );
  });
  it('counts only 2xx as delivered, 410 as gone, and a redirect as a failure', () => {
    const of = (status: number, retryAfter: string | null = null) => afterSend({ kind: 'answered', status, retryAfter }, 1, 0, 0);
    expect(of(200)).toEqual({ kind: 'delivered' });
    expect(of(204)).toEqual({ kind: 'delivered' });
    expect(of(410)).toEqual({ kind: 'gone' });
    for (const status of [199, 301, 302, 400, 404, 429, 500]) expect(of(status).kind).toBe('retry');
  });
  it('honours Retry-After in both forms, never sooner than the schedule and never later than a day', () => {
    const of = (retryAfter: string) => afterSend({ kind: 'answered', status: 429, retryAfter }, 1, 0, 0);
    expect(of('120')).toEqual({ kind: 'retry', at: 120_000 });
    expect(of('1')).toEqual({ kind: 'retry', at: 5_000 });
    expect(of('999999999')).toEqual({ kind: 'retry', at: 86_400_000 });
    expect(retryAfterSeconds('Thu, 01 Jan 1970 00:02:00 GMT', 0)).toBe(120);
    for (const bad of ['soon', '-5', '1.5', '']) expect(retryAfterSeconds(bad, 0)).toBeNull();
  });
});
