/** How JSON may be called. */
import { expect, it } from 'vitest';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { NewKey } from '../../shared/wire/tenants.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';

const FORMS = [
  'application/json',
  'Application/JSON',
  'application/json; charset=utf-8',
  'application/json;charset="UTF-8"',
  'application/json ; charset=utf-8',
  'application/json;',
  'application/json ;',
];

it.each(FORMS)('%s is JSON', async (type) => {
  const { key } = await newTenant();
  const send = async (path: string, json: unknown) => await call(path, { key, json, headers: { 'content-type': type } });
  await answer(await send('/v1/keys', { name: 'k', scopes: ['predict'] }), 201, NewKey);
  const { id } = await answer(await send('/v1/classifiers', { name: 'v', modality: 'vector', dimension: 2 }), 201, Classifier);
  // Here other types of bodies are taken, too.
  const examples = [{ label: 'a', vector: [1, 0] }];
  expect((await answer(await send(`/v1/classifiers/${id}/examples`, { examples }), 201, EnrollAnswer)).data).toHaveLength(1);
});

it('what only begins like it is not', async () => {
  const { key } = await newTenant();
  for (const type of ['application/jsonp', 'application/x-json', 'text/json'])
    await problem(await call('/v1/classifiers/x/examples', { key, json: {}, headers: { 'content-type': type } }), 'unsupported_media_type');
});
