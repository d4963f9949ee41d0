/**
 * `npm run bench:train [-- --seconds 20 --json]`: pictures per second of the engine's training loop against a plain PyTorch loop on the same backbone,
 * batch and machine, and against the same loop on tensors that are in memory already. Nothing is asserted.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import { BACKBONES, PYTHON, ROOT } from '../../paths.ts';
import { whileRunning } from '../../progress.ts';
import { ensureSetup } from '../../setup/main.ts';
import { describeMachine } from '../machine.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '20' }, json: { type: 'boolean' } } });
const Rates = z.object({
  device: z.string(),
  size: z.number(),
  batch: z.number(),
  epochs: z.number(),
  caching_seconds: z.number(),
  rates: z.object({
    tail_plain: z.number(),
    tail_engine: z.number(),
    whole_plain: z.number(),
    whole_engine: z.number(),
    whole_in_memory: z.number(),
  }),
});

async function measure(): Promise<z.infer<typeof Rates>> {
  const script = join(import.meta.dirname, 'throughput.py');
  const args = [script, '--backbone', join(BACKBONES, SHIPPED_BACKBONES.image), '--seconds', values.seconds];
  const child = spawn(PYTHON, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PYTHONPATH: join(ROOT, 'gpu-trainer') },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`the measurement ended with ${String(code)}`);
  return Rates.parse(JSON.parse(text));
}

try {
  await ensureSetup();
  const machine = describeMachine();
  const measured = await whileRunning('Training, five ways', measure());
  if (values.json) process.stdout.write(`${JSON.stringify({ machine, ...measured })}\n`);
  else {
    const { rates } = measured;
    const row = (name: string, rate: number, beside: number) =>
      `${name.padEnd(34)} ${rate.toFixed(1).padStart(9)} pictures/s   ${(rate / beside).toFixed(2)} × plain\n`;
    process.stdout.write(
      `${machine.cpu}, ${machine.cores} cores, load before ${machine.load_before}; ${measured.device}, batch ${measured.batch}\n\n`,
    );
    process.stdout.write(row('tail, plain loop (224 px)', rates.tail_plain, rates.tail_plain));
    process.stdout.write(row(`tail, engine (cached, ${measured.epochs} epochs)`, rates.tail_engine, rates.tail_plain));
    process.stdout.write(row(`whole, plain loop (${measured.size} px)`, rates.whole_plain, rates.whole_plain));
    process.stdout.write(row(`whole, engine (${measured.size} px)`, rates.whole_engine, rates.whole_plain));
    process.stdout.write(row('whole, tensors in memory', rates.whole_in_memory, rates.whole_plain));
    process.stdout.write(`\nengine ÷ in memory: ${(rates.whole_engine / rates.whole_in_memory).toFixed(2)}\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
