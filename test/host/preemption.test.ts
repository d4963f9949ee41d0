/** Notices of the three large providers and of a file, and the moment at which a host takes note. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotice, preempted, untilPreempted } from '../../gpu-trainer/host/preemption.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-preemption-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('a notice', () => {
  it.each([
    ['Amazon, none yet', 404, '<html>Not Found</html>', false],
    ['Amazon', 200, '{"action": "terminate", "time": "2026-01-01T00:00:00Z"}', true],
    ['Google, none yet', 200, 'FALSE\n', false],
    ['Google', 200, 'TRUE\n', true],
    ['Google, maintenance none', 200, 'NONE', false],
    ['Azure, none yet', 200, '{"DocumentIncarnation": 1, "Events": []}', false],
    ['Azure, a reboot', 200, '{"DocumentIncarnation": 2, "Events": [{"EventType": "Reboot"}]}', false],
    ['Azure', 200, '{"DocumentIncarnation": 3, "Events": [{"EventType": "Preempt", "NotBefore": "x"}]}', true],
    ['an error of the service', 500, 'TRUE', false],
    ['an empty answer', 200, '', false],
  ])('is read in the answer of %s', (_who, status, body, expected) => {
    expect(isNotice(status, body)).toBe(expected);
  });

  it('comes from an address, asked as Google and Azure want it', async () => {
    let answer = 'FALSE';
    const asked: unknown[] = [];
    const server = createServer((request, response) => {
      asked.push([request.headers['metadata-flavor'], request.headers['metadata']]);
      response.end(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const where = { GRAFT_PREEMPTION_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/preempted` };
    expect(await preempted(where)).toBe(false);
    answer = 'TRUE';
    expect(await preempted(where)).toBe(true);
    expect(asked).toEqual([
      ['Google', 'true'],
      ['Google', 'true'],
    ]);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    // A service that is gone says nothing.
    expect(await preempted(where)).toBe(false);
  });

  it('comes from a file within seconds, and ends with it', async () => {
    const where = { GRAFT_PREEMPTION_FILE: path.join(folder, 'notice') };
    const stop = new AbortController();
    const waiting = untilPreempted(where, true, stop.signal);
    await writeFile(where.GRAFT_PREEMPTION_FILE, '');
    await waiting;
    const over = untilPreempted(where, false, stop.signal);
    await rm(where.GRAFT_PREEMPTION_FILE);
    await over;
    const never = untilPreempted(where, true, stop.signal);
    stop.abort();
    await expect(never).rejects.toThrow();
  });

  it('never comes where nobody said where to look', async () => {
    expect(await preempted({})).toBe(false);
  });
});
