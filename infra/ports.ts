/**
 * Free ports of 127.0.0.1, from below those that kernels hand to outgoing connections (Linux from 32,768, others from 49,152): between the answer and
 * the use nobody is given one by chance. Who picks a port by name may take it still, so whoever starts a server retries with new ones.
 */
import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

const LOWEST = 16_384;
const HIGHEST = 32_767;

/** Binds one port and leaves it bound; null when it is taken. */
function hold(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

const release = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

/** `count` different free ports, each at most `highest`; all are held until all are known, so that no two are the same. */
export async function freePorts(count: number, highest = HIGHEST): Promise<number[]> {
  const held = new Map<number, Server>();
  try {
    for (let tries = 0; held.size < count; tries++) {
      if (tries > count + 200) throw new Error(`No ${count} free ports from ${LOWEST} to ${highest} on 127.0.0.1`);
      const port = randomInt(LOWEST, highest + 1);
      const server = held.has(port) ? null : await hold(port);
      if (server) held.set(port, server);
    }
  } finally {
    await Promise.all([...held.values()].map(release));
  }
  return [...held.keys()];
}

export async function isFree(port: number): Promise<boolean> {
  const server = await hold(port);
  if (server) await release(server);
  return server !== null;
}
