/** What rows are labelled with: their one label, all of them in a multi-label dataset, or the answers of several tasks. Pure. */
import { UNLABELLED } from '../../../shared/dataset.ts';
import { DATASET_LABEL_NAMES_MAX_BYTES, LABELS_MAX, TASKS_MAX } from '../../../shared/limits.ts';
import { RowError } from './row-error.ts';
import type { OnError } from './sources.ts';

/** So many labels one error names. */
const NAMED_MAX = 20;
/** What `label` is called as a task, in a dataset whose other rows (or whose other answers) have names. */
export const LABEL_TASK = 'label';
/** The kind of rows that were labelled with none of the labels; no label is empty. */
const NONE_OF_THEM = '';

type Labelled = { label: string | null; readonly labels?: readonly string[] | null; tasks?: ReadonlyMap<string, string> };
export type Task = { readonly name: string; readonly labels: string[]; readonly counts: Record<string, number> };

/**
 * The tasks in the order in which they first appear; none when no row names any. Afterwards each row's `label` is its label in the first task, and a
 * `label` beside `tasks` has become the task "label".
 */
export function settleTasks(rows: Labelled[]): Task[] {
  if (!rows.some((r) => r.tasks)) return [];
  const counts = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const all = new Map(row.label === null ? [] : [[LABEL_TASK, row.label]]);
    for (const [name, label] of row.tasks ?? []) all.set(name, label);
    row.tasks = all;
    for (const [name, label] of all) {
      const of = counts.get(name) ?? new Map<string, number>();
      of.set(label, (of.get(label) ?? 0) + 1);
      counts.set(name, of);
    }
  }
  const [first] = counts.keys();
  for (const row of rows) row.label = row.tasks?.get(first!) ?? null;
  return [...counts].map(([name, of]) => {
    const labels = [...of.keys()].toSorted();
    return { name, labels, counts: Object.fromEntries(labels.map((label) => [label, of.get(label)!])) };
  });
}

/** Index of each row's label in the task, −1 where it has none. */
export function taskColumn(rows: readonly Labelled[], task: Task): Int32Array {
  const place = new Map(task.labels.map((label, i) => [label, i]));
  return Int32Array.from(rows, (row) => place.get(row.tasks?.get(task.name) ?? '') ?? UNLABELLED);
}

/** All labels of a row; null where nobody labelled it. Of several tasks those of the first. */
export function labelsOf({ label, labels }: Labelled): readonly string[] | null {
  if (labels !== undefined) return labels;
  return label === null ? null : [label];
}

/** What kinds a row is of when rows are divided; of none where nobody labelled it. Of several tasks it is the first answer that the row has. */
export function strataOf(row: Labelled): readonly string[] {
  if (row.labels) return row.labels.length > 0 ? row.labels : [NONE_OF_THEM];
  if (row.label !== null) return [row.label];
  const [first] = row.tasks ?? [];
  return first ? [first.join('\n')] : [];
}

/**
 * Throws RowError without a file when no job could use the labels; `task` is null in a dataset with one. What only some could not use is reported:
 * a dataset may also be what others adapt to or are judged by.
 */
export function checkCounts(counts: Readonly<Record<string, number>>, task: string | null, report: OnError): void {
  const who = task === null ? 'The dataset' : `The task "${task}"`;
  const labels = Object.keys(counts);
  if (labels.length > LABELS_MAX) throw new RowError('too_many_labels', `${who} has ${labels.length} labels; the limit is ${LABELS_MAX}.`);
  checkNames(labels);
  if (labels.length === 1) {
    const one = `${who} has one label, "${labels[0]}"`;
    if (task !== null) throw new RowError('too_few_labels', `${one}; a task needs at least two.`);
    return report(new RowError('too_few_labels', `${one}: it can be adapted to or judged by, but not trained on.`));
  }
  const alone = labels.filter((label) => counts[label] === 1).map((label) => `"${label}"`);
  if (alone.length === 0) return;
  const named = alone.length > NAMED_MAX ? `${alone.slice(0, NAMED_MAX).join(', ')} and ${alone.length - NAMED_MAX} more` : alone.join(', ');
  const have = alone.length === 1 ? `The label ${named} has a single usable row` : `${alone.length} labels (${named}) have a single usable row each`;
  report(new RowError('too_few_rows', `${have}: a job learns from it, but proves nothing about it.`));
}

function checkNames(labels: readonly string[]): void {
  const bytes = labels.reduce((sum, label) => sum + Buffer.byteLength(label), 0);
  const limit = DATASET_LABEL_NAMES_MAX_BYTES;
  if (bytes > limit) throw new RowError('labels_too_long', `The names of the labels have ${bytes} bytes together; the limit is ${limit}.`);
}

/** Throws RowError without a file. */
export function checkTasks(tasks: readonly Task[], report: OnError): void {
  if (tasks.length > TASKS_MAX) throw new RowError('too_many_tasks', `The dataset has ${tasks.length} tasks; the limit is ${TASKS_MAX}.`);
  checkNames(tasks.flatMap((task) => task.labels));
  for (const task of tasks) checkCounts(task.counts, task.name, report);
}
