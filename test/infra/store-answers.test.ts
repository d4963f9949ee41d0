/** What stores answer that the one of the tests never does, told by a server that answers so: limits of S3 and R2, and errors within a 200. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { makeObjects, type Objects } from '../../functions/objects/objects.ts';

type Seen = { readonly request: IncomingMessage; readonly body: string };
let seen: Seen[] = [];
let answers: { status: number; body: string }[] = [];
let objects: Objects;
const server = createServer((request, response) => {
  void text(request).then((body) => {
    seen.push({ request, body });
    const { status, body: answer } = answers.shift() ?? { status: 200, body: '<DeleteResult/>' };
    response.writeHead(status);
    // In parts, so that no length is told beforehand.
    for (const part of answer.match(/.{1,1000}/gs) ?? []) response.write(part);
    response.end();
  });
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  objects = makeObjects({ endpoint, publicEndpoint: endpoint, bucket: 'graft', region: 'auto', accessKeyId: 'a', secretAccessKey: 'b' });
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  seen = [];
  answers = [];
});

const error = (code: string) => `<Error><Key>k/1</Key><Code>${code}</Code><Message>told</Message></Error>`;

it('2,500 keys are three requests, each with the checksum that S3 asks for', async () => {
  const keys = Array.from({ length: 2_500 }, (_, n) => `k/${n}&`);
  await objects.delete(keys);
  const named = seen.map(({ body }) => [...body.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key]) => key!.replace('&#38;', '&')));
  expect(named.map((some) => some.length)).toEqual([1_000, 1_000, 500]);
  expect(named.flat()).toEqual(keys);
  for (const { request, body } of seen) {
    expect(`${request.method} ${request.url}`).toBe('POST /graft/?delete=');
    expect(request.headers['content-md5']).toBe(createHash('md5').update(body).digest('base64'));
  }
});

it('a key that was not deleted fails the deletion, one that was not there does not', async () => {
  answers = [{ status: 200, body: `<DeleteResult>${error('NoSuchKey')}${error('InternalError')}</DeleteResult>` }];
  await expect(objects.delete(['k/1', 'k/2'])).rejects.toMatchObject({ code: 'unavailable' });
  answers = [{ status: 200, body: `<DeleteResult>${error('NoSuchKey')}</DeleteResult>` }];
  await objects.delete(['k/1', 'k/2']);
});

it('two writers of one key at the same moment: the store that saw a conflict is asked again, and says who was first', async () => {
  answers = [
    { status: 409, body: error('ConditionalRequestConflict') },
    { status: 412, body: error('PreconditionFailed') },
  ];
  expect(await objects.put('k', new Uint8Array(1), { ifNoneMatch: '*' })).toBe(false);
  answers = [
    { status: 409, body: error('ConditionalRequestConflict') },
    { status: 200, body: '' },
  ];
  expect(await objects.put('k', new Uint8Array(1), { ifMatch: 'tag' })).toBe(true);
});

it('a file that comes without its length is passed on with it', async () => {
  answers = [{ status: 200, body: '{"a":1}'.repeat(1_000) }];
  const file = await objects.getStream('k.json');
  expect(file?.bytes).toBe(7_000);
  expect(await new Response(file?.body).text()).toBe('{"a":1}'.repeat(1_000));
});
