/** What each method needs, and the options that contradict it. */
import { describe, expect, it } from 'vitest';
import { judgingTasksFault, methodFault } from '../../functions/domain/method-needs.ts';
import type { DatasetManifest } from '../../shared/dataset.ts';
import { MethodOptions } from '../../shared/method-options.ts';

const manifest = (change: Partial<DatasetManifest> = {}): DatasetManifest => ({
  format: 'graft-dataset-1',
  modality: 'image',
  task: 'single_label',
  labels: ['ant', 'bee', 'cow'],
  rows: 30,
  counts: { train: { ant: 10, bee: 10, cow: 10 }, validation: {}, test: {} },
  unlabelled: 0,
  digest: '',
  files: [],
  tasks: [],
  errors: [],
  error_count: 0,
  split_seed: 1,
  ...change,
});
const fault = (method: Record<string, unknown>, change: Partial<DatasetManifest> = {}, hasTarget = false, hasSource = false) =>
  methodFault(MethodOptions.parse(method), { manifest: manifest(change), hasTarget, hasSource })?.param ?? null;
const task = (name: string) => ({ name, labels: ['x', 'y'], counts: {} });

describe('methods', () => {
  it('without special needs are taken as they are', () => {
    for (const type of ['auto', 'linear_probe', 'fine_tune', 'contrastive', 'from_scratch']) expect(fault({ type })).toBeNull();
    expect(fault({ type: 'fine_tune', depth: 'full', mixup: 0.2 })).toBeNull();
    expect(fault({ type: 'linear_probe', depth: 'head' })).toBeNull();
  });
  it('that adapt need a target', () => {
    for (const type of ['domain_adaptation', 'domain_confusion']) {
      expect(fault({ type })).toBe('target_dataset');
      expect(fault({ type }, {}, true)).toBeNull();
    }
  });
  it('of several tasks need several tasks', () => {
    expect(fault({ type: 'multi_task' })).toBe('dataset');
    expect(fault({ type: 'multi_task' }, { tasks: [task('a')] })).toBe('dataset');
    expect(fault({ type: 'multi_task', task: 'b' }, { tasks: [task('a'), task('b')] })).toBeNull();
    expect(fault({ type: 'multi_task', task: 'c' }, { tasks: [task('a'), task('b')] })).toBe('method.task');
  });
  it('of several tasks are judged by rows of another dataset that training can know', () => {
    const trained = manifest({ tasks: [task('a'), task('b')] });
    const judged = (change: Partial<DatasetManifest>, method: Record<string, unknown> = {}) =>
      judgingTasksFault(MethodOptions.parse({ type: 'multi_task', ...method }), trained, manifest(change));
    expect(judged({ tasks: [task('b'), task('a')] })).toBeNull();
    expect(judged({ tasks: [task('a')] })).toBeNull();
    expect(judged({ tasks: [task('a')] }, { task: 'b' })).toContain('"b"');
    expect(judged({ tasks: [task('a'), task('c')] })).toContain('"c"');
    expect(judged({ tasks: [{ ...task('a'), labels: ['x', 'z'] }] })).toContain('"z"');
    // Rows without tasks: labels of the task that is served.
    expect(judged({ labels: ['x'] })).toBeNull();
    expect(judged({})).toContain('"ant"');
    expect(judged({ labels: [] })).toContain('"a"');
  });
  it('without examples need rows to be judged by, and two labels to learn from', () => {
    expect(fault({ type: 'zero_shot' })).toBe('method.unseen_labels');
    expect(fault({ type: 'zero_shot' }, { counts: { train: { ant: 10, bee: 10, cow: 0 }, validation: {}, test: { cow: 5 } } })).toBeNull();
    expect(fault({ type: 'zero_shot', unseen_labels: ['cow'] })).toBeNull();
    expect(fault({ type: 'zero_shot', unseen_labels: ['dog'] })).toBe('method.unseen_labels');
    expect(fault({ type: 'zero_shot', unseen_labels: ['bee', 'cow'] })).toBe('method.unseen_labels');
    const untrained = { counts: { train: { ant: 10, bee: 0, cow: 10 }, validation: {}, test: {} } };
    expect(fault({ type: 'zero_shot', unseen_labels: ['cow'] }, untrained)).toBe('method.unseen_labels');
  });
  it('do not take options of other methods, but auto takes all', () => {
    const options = { alignment: 'mmd', seeds: 3, task: 'a', unseen_labels: ['cow'], mapping: 'devise' };
    for (const [name, value] of Object.entries(options)) {
      expect(fault({ type: 'fine_tune', [name]: value })).toBe(`method.${name}`);
      expect(fault({ type: 'auto', [name]: value })).toBeNull();
    }
    expect(fault({ type: 'linear_probe', depth: 'last_blocks' })).toBe('method.depth');
    expect(fault({ type: 'linear_probe', last_blocks: 2 })).toBe('method.last_blocks');
    expect(fault({ type: 'fine_tune', mixup: 0.2 }, { modality: 'text' })).toBe('method.mixup');
    expect(fault({ type: 'domain_adaptation', alignment: 'adabn' }, { modality: 'text' }, true)).toBe('method.alignment');
    expect(fault({ type: 'domain_adaptation', alignment: 'adabn' }, {}, true)).toBeNull();
  });
});
