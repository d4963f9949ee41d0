/** A progress bar on a terminal; elsewhere (a pipe, a log) one line at the start, every ten seconds and at the end. */
const WIDTH = 28;
const LOG_EVERY_MS = 10_000;

export type Bar = {
  /** `done` 0…1, or null when the end is not known; `detail` goes after the bar. */
  tick(done: number | null, detail?: string): void;
  end(detail?: string): void;
};

function draw(done: number | null, turn: number): string {
  if (done === null) {
    const at = turn % (WIDTH - 3);
    return `${' '.repeat(at)}===${' '.repeat(WIDTH - 3 - at)}`;
  }
  const full = Math.round(Math.min(Math.max(done, 0), 1) * WIDTH);
  return '█'.repeat(full) + '░'.repeat(WIDTH - full);
}

export function progressBar(title: string, stream: NodeJS.WriteStream = process.stderr): Bar {
  const started = Date.now();
  let turn = 0;
  let logged = 0;
  let last = '';
  const seconds = (): string => `${((Date.now() - started) / 1_000).toFixed(0)} s`;
  const write = (text: string): void => {
    last = text;
    if (stream.isTTY) stream.write(`\r\x1b[2K${text.slice(0, (stream.columns || 120) - 1)}`);
    else if (Date.now() - logged >= LOG_EVERY_MS) {
      logged = Date.now();
      stream.write(`${text}\n`);
    }
  };
  return {
    tick(done, detail = '') {
      turn += 1;
      const percent = done === null ? '' : ` ${Math.round(done * 100)} %`;
      write(`  ${title} [${draw(done, turn)}]${percent} ${seconds()} ${detail}`.trimEnd());
    },
    end(detail = '') {
      const text = `  ${title}: ${detail === '' ? 'done' : detail} (${seconds()})`;
      if (stream.isTTY) stream.write('\r\x1b[2K');
      if (text !== last) stream.write(`${text}\n`);
    },
  };
}

/** Ticks a bar of unknown length while `work` runs. */
export async function whileRunning<T>(title: string, work: Promise<T>): Promise<T> {
  const bar = progressBar(title);
  const beat = setInterval(() => bar.tick(null), 250);
  try {
    const value = await work;
    bar.end();
    return value;
  } catch (error) {
    bar.end('failed');
    throw error;
  } finally {
    clearInterval(beat);
  }
}
