/** What a training method needs and what contradicts it: said when the job is created, not by an engine half an hour later. Pure. */
import type { DatasetManifest } from '../../shared/dataset.ts';
import type { MethodOptions } from '../../shared/method-options.ts';
import type { MethodType } from '../../shared/jobs.ts';
import { list } from './gate-words.ts';

export type MethodFault = { readonly param: string; readonly detail: string };
type Facts = { readonly manifest: DatasetManifest; readonly hasTarget: boolean; readonly hasSource: boolean };

/** Options that mean something to one method only; `auto` may choose that method, so it takes them all. */
const ONLY_FOR: readonly (readonly [keyof MethodOptions, MethodType])[] = [
  ['alignment', 'domain_adaptation'],
  ['seeds', 'domain_confusion'],
  ['task', 'multi_task'],
  ['unseen_labels', 'zero_shot'],
  ['mapping', 'zero_shot'],
];
/** What can learn rows of several labels; `auto` chooses among the others here. */
const OF_SEVERAL_LABELS: readonly MethodType[] = ['auto', 'linear_probe', 'fine_tune', 'from_scratch'];
const NEEDS_TARGET: ReadonlySet<MethodType> = new Set(['domain_adaptation', 'domain_confusion']);
/** A mapping into a space of label texts cannot be learnt from one label. */
const SEEN_LABELS_MIN = 2;

/** Whether a method needs rows of the domain that the model will meet. */
export function adaptsToTarget(type: MethodType): boolean {
  return NEEDS_TARGET.has(type);
}

/** Labelled rows that a model can be judged by. */
export function heldOutRows({ counts }: DatasetManifest): number {
  return [counts.validation, counts.test].flatMap((split) => Object.values(split ?? {})).reduce((sum, rows) => sum + rows, 0);
}

/** The first thing that is wrong, or null. `param` is the path in the request. */
export function methodFault(method: MethodOptions, facts: Facts): MethodFault | null {
  const { type } = method;
  const several = facts.manifest.task === 'multi_label';
  if (several) {
    const fault = severalLabelsFault(type, facts);
    if (fault) return fault;
  }
  for (const [option, only] of ONLY_FOR)
    if (method[option] !== undefined && type !== only && (several || type !== 'auto'))
      return { param: `method.${option}`, detail: `"${option}" belongs to the method "${only}"; this job uses "${type}".` };
  if (NEEDS_TARGET.has(type) && !facts.hasTarget)
    return { param: 'target_dataset', detail: `"${type}" needs a target_dataset: rows, labelled or not, of the domain that the model will meet.` };
  if (type === 'linear_probe' && (method.last_blocks !== undefined || (method.depth !== undefined && method.depth !== 'head'))) {
    const param = method.last_blocks === undefined ? 'method.depth' : 'method.last_blocks';
    return { param, detail: 'A linear probe trains only a head; to train blocks of the network use "fine_tune".' };
  }
  if (type === 'domain_adaptation' && method.alignment === 'adabn' && facts.manifest.modality === 'text') {
    const detail = '"adabn" is for pictures: the text network keeps no statistics of a domain. Use "coral" or "mmd".';
    return { param: 'method.alignment', detail };
  }
  if (method.mixup && facts.manifest.modality === 'text') return { param: 'method.mixup', detail: 'Mixup mixes pictures; this dataset holds texts.' };
  if (type === 'multi_task') return tasksFault(method, facts.manifest);
  if (type === 'zero_shot') return unseenFault(method.unseen_labels ?? [], facts.manifest);
  return null;
}

function severalLabelsFault(type: MethodType, { hasTarget, hasSource }: Facts): MethodFault | null {
  const here = 'The dataset has several labels an input';
  if (!OF_SEVERAL_LABELS.includes(type))
    return { param: 'method.type', detail: `${here}, and "${type}" trains models of one label only. Use one of ${list(OF_SEVERAL_LABELS)}.` };
  if (hasTarget) return { param: 'target_dataset', detail: `${here}; training adapts only models of one label to another domain.` };
  if (hasSource) return { param: 'source_classifier', detail: `${here}; only models of one label learn from another classifier's examples.` };
  return null;
}

function tasksFault(method: MethodOptions, manifest: DatasetManifest): MethodFault | null {
  const names = manifest.tasks.map((task) => task.name);
  if (names.length < 2) {
    const has = names.length === 0 ? 'none' : `only "${names[0]}"`;
    return { param: 'dataset', detail: `"multi_task" needs a dataset whose rows name at least two tasks; this one has ${has}.` };
  }
  if (method.task !== undefined && !names.includes(method.task))
    return { param: 'method.task', detail: `The dataset has no task "${method.task}"; it has: ${names.join(', ')}.` };
  return null;
}

/**
 * What is wrong with the rows that a multi-task model is to be judged by, or null: they need labels of the task that is served, and none that training
 * could not know. Rows without tasks have labels of that task.
 */
export function judgingTasksFault(method: MethodOptions, trained: DatasetManifest, judging: DatasetManifest): string | null {
  const served = method.task ?? trained.tasks[0]?.name ?? '';
  const own = judging.tasks.length > 0 ? judging.tasks : [{ name: served, labels: judging.labels }];
  if (!own.some((task) => task.name === served && task.labels.length > 0))
    return `None of its rows has a label of the task "${served}", which is the one that is served.`;
  for (const task of own) {
    const known = trained.tasks.find((one) => one.name === task.name);
    if (!known) return `It has the task "${task.name}", which the dataset has no row of.`;
    const strange = task.labels.find((label) => !known.labels.includes(label));
    if (strange !== undefined) return `Its task "${task.name}" has the label "${strange}", which the dataset has no row of.`;
  }
  return null;
}

function unseenFault(unseen: readonly string[], manifest: DatasetManifest): MethodFault | null {
  const unknown = unseen.find((label) => !manifest.labels.includes(label));
  if (unknown !== undefined)
    return { param: 'method.unseen_labels', detail: `The dataset has no label "${unknown}", so nothing could be judged by it.` };
  const seen = manifest.labels.filter((label) => !unseen.includes(label) && (manifest.counts.train?.[label] ?? 0) > 0);
  if (seen.length === manifest.labels.length) {
    const detail = '"zero_shot" is judged by labels that it never trained on, and every label has training rows: name some as unseen_labels.';
    return { param: 'method.unseen_labels', detail };
  }
  if (seen.length < SEEN_LABELS_MIN) {
    const detail = `"zero_shot" needs at least ${SEEN_LABELS_MIN} labels with training rows that are not unseen_labels; this job has ${seen.length}.`;
    return { param: 'method.unseen_labels', detail };
  }
  return null;
}
