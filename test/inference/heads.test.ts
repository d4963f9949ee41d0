/** Heads held by an isolate: which stay, where their rows lie, and what those who still use a dropped one read. */
import { describe, expect, it } from 'vitest';
import { encodeHead } from '../../shared/head-file.ts';
import type { Head } from '../../shared/head.ts';
import { HEAD_TTL_SECONDS, Heads } from '../../functions/inference/heads.ts';
import { placesOf } from '../../functions/learning/placed.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';

const [LABELS, D] = [40, 400];
/** A file of about 64 KB whose rows say which classifier's it is: label `best` wins. */
function headOf(best: number): Head {
  const weight = Float32Array.from({ length: LABELS * D }, (_, i) => (Math.floor(i / D) === best ? 1 : 0.5));
  const component = {
    embedding: 'base',
    name: 'ridge',
    transform: 'l2',
    dimension: D,
    center: new Float32Array(D),
    weight,
    bias: new Float32Array(LABELS),
    kernel: null,
    mix: 1,
  } as const;
  return {
    labels: Array.from({ length: LABELS }, (_, c) => `l${c}`),
    task: 'single_label',
    components: [component],
    temperature: 1,
    openSet: null,
    support: null,
    standardisation: null,
  };
}
const bytesOf = encodeHead(headOf(0)).byteLength;
const e = { base: new Float32Array(D).fill(1), tuned: null };
const said = (head: Head | null): string | null => (head ? scoreHead(head, e).label : null);
const placed = (head: Head | null): boolean => head !== null && (placesOf(head.components[0]!)?.weight?.bytes ?? 0) > 0;

function heads(room: number) {
  const asked: string[] = [];
  let now = 0;
  const gate = Promise.withResolvers<void>();
  const fetched = async (id: string, known: number | null) => {
    asked.push(id);
    if (known === 1) await gate.promise;
    return known === 1
      ? { unchanged: true as const, version: 1, newest: 1 }
      : { version: 1, newest: 1, model: null, head: encodeHead(headOf(Number(id))) };
  };
  const cache = new Heads(fetched, () => now, room * bytesOf + 1);
  return { cache, asked, later: () => (now += HEAD_TTL_SECONDS * 1_000), answer: gate.resolve };
}

describe('heads held by an isolate', () => {
  it('lie in one memory that never passes its bound; the least recently used goes, and a dropped one answers as before', async () => {
    const { cache, asked } = heads(3);
    const first = await cache.get('0', 0);
    const second = await cache.get('1', 0);
    await cache.get('2', 0);
    expect([first, second].every(({ head }) => placed(head))).toBe(true);
    await cache.get('0', 0);
    for (const id of ['3', '4', '5', '6', '7', '8']) {
      expect(said((await cache.get(id, 0)).head)).toBe(`l${id}`);
      await cache.get('0', 0);
      expect(cache.bytes).toBeLessThanOrEqual(3 * bytesOf + 1);
      expect(cache.memory().rowsBytes).toBeLessThanOrEqual(3 * bytesOf + 2 * 65_536);
    }
    // 0 was used all along and never asked for again; 1 was dropped and its place is another's now.
    expect(asked.filter((id) => id === '0')).toHaveLength(1);
    expect(placed(first.head)).toBe(true);
    expect(placed(second.head)).toBe(false);
    expect(said(second.head)).toBe('l1');
    expect(said((await cache.get('1', 0)).head)).toBe('l1');
  });

  it('are placed again when they were dropped while their version was asked for', async () => {
    const { cache, later, answer } = heads(2);
    await cache.get('0', 0);
    later();
    const asking = cache.get('0', 0);
    await Promise.all([cache.get('1', 0), cache.get('2', 0)]);
    answer();
    const { head } = await asking;
    expect(placed(head)).toBe(true);
    expect(said(head)).toBe('l0');
    expect(cache.memory().heapBytes).toBeLessThan(cache.bytes / 5);
  });

  it('give their place back when a version is forgotten', async () => {
    const { cache } = heads(2);
    for (let i = 0; i < 50; i++) {
      expect(placed((await cache.get('3', 0)).head)).toBe(true);
      cache.forget('3');
    }
    expect(cache.bytes).toBe(0);
    expect(cache.memory().rowsBytes).toBeLessThanOrEqual(bytesOf + 2 * 65_536);
  });

  it('stay in the heap without a memory, and answer the same', async () => {
    const cache = new Heads(
      async () => ({ version: 1, newest: 1, model: null, head: encodeHead(headOf(7)) }),
      () => 0,
      1e6,
      null,
    );
    const { head } = await cache.get('any', 0);
    expect([placed(head), said(head)]).toEqual([false, 'l7']);
    expect(cache.memory()).toEqual({ rowsBytes: 0, heapBytes: cache.bytes });
  });
});
