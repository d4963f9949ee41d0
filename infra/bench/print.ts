/** The report as text: one table a question, milliseconds with the number of repeats. */
import { ISOLATE_BYTES } from '../../functions/inference/isolate-budget.ts';
import type { Enrolling } from './enrolling.ts';
import type { Growth, Large, Resident } from './learning.ts';
import type { Machine } from './machine.ts';
import type { Memory } from './memory.ts';
import type { Spread } from './measure.ts';
import type { Scoring } from './scoring.ts';
import type { NotMeasured, Serving } from './serving.ts';
import type { BundleSize } from './size.ts';
import type { Startup } from './startup.ts';

export type Report = {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly serving: readonly (Serving | NotMeasured)[];
  readonly enrolling: readonly Enrolling[];
  readonly scoring: readonly Scoring[];
  readonly growth: { readonly examples: readonly Growth[]; readonly classes: readonly Growth[] };
  readonly large: readonly Large[];
  readonly resident: readonly Resident[];
  readonly memory: Memory | NotMeasured;
  readonly bundle: BundleSize;
  readonly startup: Startup;
  readonly seconds: number;
};

const ms = (value: number): string => (value < 10 ? value.toFixed(1) : value.toFixed(0));
const kb = (bytes: number): string => `${(bytes / 1e3).toFixed(0)} kB`;
const times = (ratio: number): string => `${ratio.toFixed(2)}×`;

/** Columns as wide as they need to be; the first to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].map((text) => `  ${text.trimEnd()}`).join('\n');
}

function servingRow(row: Serving | NotMeasured): string[] {
  if ('not_measured' in row) return [row.input, `not measured: ${row.not_measured}`];
  const { edge, bare, empty } = row;
  return [
    row.input,
    ...[edge.p50, edge.p95, bare.p50, bare.p95, empty.p50].map(ms),
    ...[row.ratio_p50, row.ratio_p95, row.ratio_p50_without_http].map(times),
    String(edge.n),
  ];
}

const us = (milliseconds: number): string => (milliseconds * 1_000).toFixed(0);

function scoringRow(row: Scoring): string[] {
  const { answer, top, plain, tfjs } = row;
  const figures = [answer.p50, answer.p95, top.p50, plain.p50, tfjs.p50, tfjs.p95].map(us);
  return [String(row.classes), String(row.kept), ...figures, times(row.ratio_answer_p50), String(answer.n)];
}

function growthRow(row: Growth): string[] {
  const { examples, classes, solve, file } = row;
  return [
    String(examples),
    String(classes),
    ms(solve.p50),
    ms(file.p50),
    kb(row.file_bytes),
    row.growth === null ? '' : times(row.growth),
    String(solve.n),
  ];
}

const residentRow = (row: Resident): string[] => [String(row.classes), String(row.examples), kb(row.array_bytes), kb(row.measured_bytes)];

const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);

function memoryText(memory: Memory | NotMeasured): string {
  if ('not_measured' in memory) return `  not measured: ${memory.not_measured}`;
  const row = (name: string, answer: string, s: Memory['held']): string[] => [
    name,
    answer,
    ...[s.runtime_bytes, s.decoder_bytes, s.rows_bytes, s.heap_bytes, s.buffer_bytes, s.sum_bytes].map(mb),
  ];
  const rows = [
    ...memory.steps.map((step) => row(step.input, step.answer, step.sums)),
    row(`held after a collection (limit ${mb(ISOLATE_BYTES)})`, '', memory.held),
  ];
  return table(['input', 'answer', 'networks', 'decoder', 'heads', 'objects', 'buffers', 'sum'], rows);
}

const spreadRow = (name: string, s: Spread): string[] => [name, ms(s.p50), ms(s.p95), ms(s.min), String(s.n)];

export function toText(report: Report): string {
  const m = report.machine;
  const { bundle, startup } = report;
  const enrolling = report.enrolling.map((row) => [
    row.input,
    ...[row.enroll.p50, row.enroll.p95, row.visible.p50, row.visible.p95].map(ms),
    `${row.examples_from}–${row.examples_to}`,
    String(row.enroll.n),
  ]);
  return [
    `${m.cpu}, ${m.cores} cores, ${m.memory_gib} GiB; ${m.system}; Node ${m.node}, workerd ${m.workerd}, onnxruntime-web ${m.onnxruntime_web}`,
    `commit ${m.commit}; load before ${m.load_before}${report.quick ? '; quick: few repeats, p95 is the slowest or nearly' : ''}`,
    '',
    'One prediction over HTTP, one at a time, beside the bare network on a ready tensor (ms)',
    table(
      ['input', 'edge p50', 'p95', 'bare p50', 'p95', 'empty p50', 'edge/bare p50', 'p95', 'bare less empty', 'n'],
      report.serving.map(servingRow),
    ),
    '',
    'One example until a prediction knows it (ms)',
    table(['input', 'enroll p50', 'p95', 'visible p50', 'p95', 'examples', 'n'], enrolling),
    '',
    'The whole answer of a head on 1,472 values, beside TensorFlow.js predict on the same weights (µs)',
    table(
      ['classes', 'kept examples', 'answer p50', 'p95', 'first 5 p50', 'plain loop p50', 'tfjs p50', 'p95', 'tfjs/answer', 'n'],
      report.scoring.map(scoringRow),
    ),
    '',
    'From embeddings of 768 values to a head that can be served (ms): O(n²d + n³) for n examples below d, O(nd² + d³) above, and n·d for each class',
    table(
      ['examples', 'classes', 'solve p50', 'file p50', 'file', 'against the row above', 'n'],
      [...report.growth.examples, ...report.growth.classes].map(growthRow),
    ),
    '',
    'Large sets (CPU seconds): the instant solve within its budget, and one slice of the training in the background',
    table(
      ['examples', 'values', 'solved from', 'solve', 'slice'],
      report.large.map((row) => [
        String(row.examples),
        String(row.dimension),
        String(row.solved_from),
        row.solve_cpu_seconds.toFixed(1),
        row.slice_cpu_seconds.toFixed(1),
      ]),
    ),
    '',
    'A head held by an isolate: its arrays, and what the process grows by',
    table(['classes', 'examples', 'arrays', 'measured'], report.resident.map(residentRow)),
    '',
    `An isolate with both backbones, the decoder and ${'classifiers' in report.memory ? report.memory.classifiers : 'many'} classifiers, over tenants' own networks and pictures that are hard on memory (MB)`,
    memoryText(report.memory),
    '',
    'The Worker as deployed',
    table(
      ['file', 'raw', 'gzip'],
      [...bundle.files, { file: 'all', bytes: bundle.bytes, gzip_bytes: bundle.gzip_bytes }].map((f) => [f.file, kb(f.bytes), kb(f.gzip_bytes)]),
    ),
    '',
    'Start-up (ms)',
    table(
      ['', 'p50', 'p95', 'min', 'n'],
      [
        spreadRow('new process: spawn to /readyz 200', startup.spawn_to_ready),
        spreadRow('its first picture (networks read and opened)', startup.first_picture),
        spreadRow('new isolate: until /healthz 200', startup.new_isolate),
        spreadRow('running isolate: /healthz', startup.running_isolate),
      ],
    ),
    '',
    `${report.seconds} s`,
    '',
  ].join('\n');
}
