/**
 * `npm run bench:resident [-- --quick --json]`: tenants' own tails against whole networks in the cache of a real isolate: how many stay open, the
 * runtime's memory and the cost of a swap. Figures of this run only.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { STATE } from '../../paths.ts';
import { ensureSetup } from '../../setup/main.ts';
import { bundleBenchWorker } from '../bare.ts';
import { describeMachine } from '../machine.ts';
import { layOutBackbones } from '../memory.ts';
import { table } from '../print.ts';
import { measureKind, placesIn, type Kind, type Resident } from './measure.ts';

const { values } = parseArgs({ options: { json: { type: 'boolean' }, quick: { type: 'boolean' } } });
const HOW_MANY = values.quick ? { tenants: 10, rounds: 1, repeats: 10 } : { tenants: 24, rounds: 2, repeats: 60 };
const KINDS: readonly Kind[] = [
  { modality: 'image', network: 'tail' },
  { modality: 'image', network: 'whole' },
  { modality: 'text', network: 'tail' },
  { modality: 'text', network: 'whole' },
];
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
const ms = (value: number): string => value.toFixed(0);

function row(r: Resident): string[] {
  const { memory, warm, first } = r;
  return [
    `${r.modality}, ${r.network}`,
    mib(r.file_bytes),
    String(r.tenants),
    String(r.held),
    ...[memory.shared, memory.one, memory.end, memory.whole_too, (memory.end - memory.shared) / r.held].map(mib),
    ...[warm.p50, warm.p95, first.p50, first.p95, r.swap_ms].map(ms),
    String(first.n),
  ];
}

await ensureSetup();
const folder = join(STATE, 'bench-resident');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
layOutBackbones(join(folder, 'files'));
const places = placesIn(folder, await bundleBenchWorker('resident/worker.ts', join(folder, 'worker')));
const machine = describeMachine();
const measured: Resident[] = [];
for (const kind of KINDS) {
  say(`Measuring ${kind.modality}, ${kind.network}`);
  measured.push(await measureKind(kind, places, HOW_MANY));
}
rmSync(folder, { recursive: true, force: true });
if (values.json) process.stdout.write(`${JSON.stringify({ machine, quick: values.quick ?? false, measured })}\n`);
else {
  const head = [
    'own network',
    'files',
    'tenants',
    'held',
    'shared',
    'with one',
    'at the end',
    'one whole too',
    'per held',
    'warm p50',
    'p95',
    'first p50',
    'p95',
    'swap',
    'swaps',
  ];
  const said = [
    `${machine.cpu}, ${machine.cores} cores; workerd ${machine.workerd}, onnxruntime-web ${machine.onnxruntime_web}; commit ${machine.commit}; load before ${machine.load_before}`,
    '',
    "Tenants' own networks in one isolate: files and the runtime's memory in MiB, requests in ms",
    table(head, measured.map(row)),
    '',
  ];
  process.stdout.write(`${said.join('\n')}\n`);
}
process.exit(0);
