/** The console's page: its script is one that a browser can read, and finds on the page what it asks for. */
import { Script } from 'node:vm';
import { expect, test } from 'vitest';
import { consolePage, SCRIPT } from '../../functions/routes/meta/console.ts';

test('the script can be read, and every part that it names is on the page once', () => {
  expect(() => new Script(SCRIPT)).not.toThrow();
  const html = consolePage();
  const named = new Set([...SCRIPT.matchAll(/(?:\$|on)\('([a-z]+)'/g)].map((m) => m[1]!));
  expect(named.size).toBeGreaterThan(15);
  for (const id of named) expect(html.split(`id="${id}"`).length - 1, id).toBe(1);
  // What tenants wrote is set as text, and nothing ends the script before its end.
  expect(SCRIPT).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|<\//);
});
