/**
 * A webhook receiver as strangers run one: a plain HTTP server outside the Worker. `POST /<box>?status=500&retry-after=7&delay=100` answers as asked
 * and keeps what it got; `GET /<box>` answers everything that the box got, in order.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    receiver: string;
  }
}

export type Received = { readonly headers: Record<string, string>; readonly body: string };

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const boxes = new Map<string, Received[]>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://receiver');
    const box = boxes.get(url.pathname) ?? [];
    boxes.set(url.pathname, box);
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(box));
      return;
    }
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      box.push({ headers: request.headers as Record<string, string>, body });
      const answer = () => {
        response.statusCode = Number(url.searchParams.get('status') ?? 204);
        for (const name of ['retry-after', 'location']) if (url.searchParams.has(name)) response.setHeader(name, url.searchParams.get(name) ?? '');
        response.end();
      };
      setTimeout(answer, Number(url.searchParams.get('delay') ?? 0));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  project.provide('receiver', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
}
