/** The demo's first half: everything that the edge does without training. */
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer, UpdatedExample } from '../../shared/wire/examples.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import type { Client } from './client.ts';
import { mails, pictures, probes, type Mail } from './pack.ts';
import { claim, percent, type Telling } from './telling.ts';

const LABELS = ['bird', 'building', 'clothing', 'mammal', 'vehicle'];

/** Answers the classifier and the version that the first three pictures of each class made. */
export async function teachPictures(mine: Client, theirs: Client, tell: Telling): Promise<{ classifier: string; version: number }> {
  tell.step('2. Five classes, three pictures each');
  const { id } = await mine.send(Classifier, 'POST', '/v1/classifiers', { name: 'pictures', modality: 'image' });
  const at = `/v1/classifiers/${id}`;
  const predict = async (bytes: Buffer, query = '') => await mine.send(Prediction, 'POST', `${at}/predict${query}`, bytes);
  const examples = LABELS.flatMap((label) =>
    pictures(label)
      .slice(0, 3)
      .map((image) => ({ label, image: image.toString('base64') })),
  );
  const started = performance.now();
  const enrolled = await mine.send(EnrollAnswer, 'POST', `${at}/examples`, { examples });
  const enrolledMs = Math.round(performance.now() - started);
  const [vehicle] = pictures('vehicle').slice(5);
  const first = await predict(vehicle!, `?min_version=${enrolled.version}`);
  claim(first.version >= enrolled.version, 'the next prediction uses the new examples');
  const best = first.scores[0]!;
  tell.note(
    'first_prediction',
    { enrolled_ms: enrolledMs, version: first.version, label: first.label, best },
    `15 pictures enrolled in ${enrolledMs} ms; the very next prediction (a vehicle) says ${first.label ?? 'unknown'}, best ${best.label} at ${percent(best.score)}, version ${first.version}`,
  );

  const answers: Prediction[] = [];
  for (const probe of probes()) answers.push(await predict(probe));
  const unknown = answers.filter((a) => a.unknown).length;
  claim(unknown > 0, 'an unrelated picture comes back unknown');
  tell.note('unknown_probes', { unknown, of: answers.length }, `${unknown} of ${answers.length} pictures of something else come back unknown`);

  const [, , , , , , , , mammal] = pictures('mammal');
  const wrong = await mine.send(EnrollAnswer, 'POST', `${at}/examples`, { examples: [{ label: 'bird', image: mammal!.toString('base64') }] });
  const before = await predict(mammal!, `?min_version=${wrong.version}`);
  const fixed = await mine.send(UpdatedExample, 'PATCH', `${at}/examples/${wrong.data[0]!.id}`, { label: 'mammal' });
  const after = await predict(mammal!, `?min_version=${fixed.version}`);
  const said = (p: Prediction): string => p.scores[0]?.label ?? '';
  claim(said(before) === 'bird' && said(after) === 'mammal', `a corrected label shows in the next prediction (${said(before)} → ${said(after)})`);
  tell.note(
    'corrected',
    { before: said(before), after: said(after) },
    `a mammal taught as "bird" by mistake: ${said(before)} before the correction, ${said(after)} after`,
  );

  const status = await theirs.statusOf(at);
  claim(status === 404, 'a second tenant cannot see the classifier');
  tell.note('other_tenant_status', status, `the second tenant asks for this classifier: ${status}`);
  return { classifier: id, version: enrolled.version };
}

export async function teachMails(mine: Client, tell: Telling): Promise<void> {
  tell.step('3. Mails: from label names alone, then from a few examples');
  const labels = [
    { name: 'spam', description: 'unwanted advertising, prizes and offers of money' },
    { name: 'ham', description: 'a personal or work message' },
  ];
  const { id } = await mine.send(Classifier, 'POST', '/v1/classifiers', { name: 'mails', modality: 'text', labels });
  const all = mails();
  const shots = (label: Mail['label']): Mail[] => all.filter((m) => m.label === label).slice(0, 8);
  const rest = all.filter((m) => !shots(m.label).includes(m));
  const accuracy = async (version: number): Promise<number> => {
    let right = 0;
    for (const mail of rest) {
      const said = await mine.send(Prediction, 'POST', `/v1/classifiers/${id}/predict`, { text: mail.text, min_version: version });
      if (said.scores[0]?.label === mail.label) right++;
    }
    return right / rest.length;
  };
  const zero = await accuracy(0);
  claim(zero > 0.5, 'label names alone do better than chance');
  tell.note(
    'mails_zero_shot',
    { accuracy: zero, rows: rest.length },
    `label names and descriptions only: ${percent(zero)} of ${rest.length} mails right`,
  );
  const taught = await mine.send(EnrollAnswer, 'POST', `/v1/classifiers/${id}/examples`, { examples: [...shots('spam'), ...shots('ham')] });
  const few = await accuracy(taught.version);
  tell.note('mails_few_shot', { accuracy: few, shots: 8, rows: rest.length }, `with 8 mails of each: ${percent(few)}`);
}
