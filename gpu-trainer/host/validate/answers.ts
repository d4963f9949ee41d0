/**
 * What a row says beside its text or picture. In a dataset with one label an input: one `label`, or `tasks` with one label each, or neither (an unlabelled
 * target). In a multi-label one: `labels`, or a `label` that is the only one; an empty list is an answer, null is none.
 */
import type { Task } from '../../../shared/catalogue.ts';
import { TASK_NAME_MAX_CHARS } from '../../../shared/limits.ts';
import { RowError } from './row-error.ts';
import { checkLabel, SPLIT_NAMES, type SourceRow } from './sources.ts';

/** How lines are read: as the dataset was made. */
export type Reading = { readonly task: Task; readonly columns: Record<string, string> | null };
export const SINGLE: Reading = { task: 'single_label', columns: null };
/** `columns` names a task's column as `tasks.<name>`. */
export const TASK_COLUMN = 'tasks.';

/** A line before it is judged; null is what it does not say. */
export type Said = {
  readonly content: unknown;
  readonly label: unknown;
  readonly labels: unknown;
  readonly tasks: ReadonlyMap<string, unknown>;
  readonly split: unknown;
};
export type At = { readonly file: string; readonly line: number };

/** Throws RowError. */
export function answers(said: Said, task: Task, at: At): Omit<SourceRow, 'bytes'> {
  const split = splitOf(said.split, at);
  if (task === 'multi_label') return { ...at, label: null, labels: severalOf(said, at), split };
  const label = labelOf(said.label ?? onlyLabel(said.labels, at), at);
  const tasks = new Map<string, string>();
  for (const [name, value] of said.tasks) {
    const clean = name.trim().normalize('NFC');
    if (clean === '' || clean.length > TASK_NAME_MAX_CHARS)
      throw new RowError('tasks_invalid', `A task's name has 1 to ${TASK_NAME_MAX_CHARS} characters.`, at.file, at.line);
    const answer = labelOf(value, at);
    if (answer !== null) tasks.set(clean, answer);
  }
  return { ...at, label, ...(tasks.size > 0 ? { tasks } : {}), split };
}

function severalOf({ label, labels, tasks }: Said, at: At): string[] | null {
  if (tasks.size > 0)
    throw new RowError('tasks_invalid', 'A row of a multi-label dataset has "labels"; "tasks" have one label each.', at.file, at.line);
  const all = labels ?? (label === null ? null : [label]);
  if (all === null) return null;
  if (!Array.isArray(all)) throw new RowError('label_invalid', '"labels" is not a list of labels.', at.file, at.line);
  return checkLabels(all, at.file, at.line);
}

/** Each once, in the order given. Throws RowError. */
export function checkLabels(labels: readonly unknown[], file: string, line?: number): string[] {
  return [...new Set(labels.map((label) => stringOf(label, file, line)))];
}

function labelOf(value: unknown, { file, line }: At): string | null {
  return value === null || value === undefined ? null : stringOf(value, file, line);
}

function stringOf(value: unknown, file: string, line?: number): string {
  if (typeof value !== 'string') throw new RowError('label_invalid', 'The label is not a string.', file, line);
  return checkLabel(value, file, line);
}

/** `labels` with one entry is a label; with several the row would need a multi-label dataset, and must not pass as unlabelled. */
function onlyLabel(labels: unknown, at: At): unknown {
  if (labels === null) return null;
  if (Array.isArray(labels) && labels.length <= 1) return labels[0] ?? null;
  const detail =
    '"labels" holds several labels; a row has one, or several "tasks" with one each, unless the dataset is made with the task "multi_label".';
  throw new RowError('label_invalid', detail, at.file, at.line);
}

function splitOf(split: unknown, at: At): SourceRow['split'] {
  const place = split === null ? null : SPLIT_NAMES.get(typeof split === 'string' ? split.toLowerCase() : '');
  if (place === undefined) throw new RowError('split_invalid', 'The split is not train, validation or test.', at.file, at.line);
  return place;
}
