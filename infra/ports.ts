/** Free ports of 127.0.0.1. Between the answer and the use another process may take one, so whoever starts a server retries with new ones. */
import { createServer, type Server } from 'node:net';

/** Binds one port (0 asks the kernel for a free one) and leaves it bound; null when it is taken. */
function hold(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

const portOf = (server: Server): number => {
  const address = server.address();
  if (!address || typeof address === 'string') throw new Error('a TCP server without an address');
  return address.port;
};
const release = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

/** `count` different free ports, each at most `highest`; all are held until all are known, so that no two are the same. */
export async function freePorts(count: number, highest = 65_535): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  try {
    for (let tries = 0; ports.length < count; tries++) {
      if (tries > count + 200) throw new Error(`No ${count} free ports up to ${highest} on 127.0.0.1`);
      const server = await hold(0);
      if (!server) continue;
      held.push(server);
      if (portOf(server) <= highest) ports.push(portOf(server));
    }
  } finally {
    await Promise.all(held.map(release));
  }
  return ports;
}

export async function isFree(port: number): Promise<boolean> {
  const server = await hold(port);
  if (server) await release(server);
  return server !== null;
}
