/** Ports for servers that start in a moment: free, different, and none that an outgoing connection is given meanwhile. */
import { createServer } from 'node:net';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { freePorts, isFree } from '../../infra/ports.ts';

test('are different, free, and below those of outgoing connections', async () => {
  const ports = await freePorts(50);
  expect(new Set(ports).size).toBe(50);
  const lowest = process.platform === 'linux' ? Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t')[0]) : 49_152;
  for (const port of ports) expect(port).toBeLessThan(lowest);
});

test('are held against what is taken', async () => {
  const [port] = await freePorts(1);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  expect(await isFree(port!)).toBe(false);
  await new Promise((resolve) => server.close(resolve));
  expect(await isFree(port!)).toBe(true);
});
