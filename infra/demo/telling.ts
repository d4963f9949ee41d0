/** What the demo says: to people on stdout, or (with `--json`) one document on stdout and the rest on stderr. */
export type Telling = {
  step(title: string): void;
  note(name: string, value: unknown, words: string): void;
  facts: Record<string, unknown>;
};

export function makeTelling(json: boolean): Telling {
  const out = json ? process.stderr : process.stdout;
  const facts: Record<string, unknown> = {};
  const started = Date.now();
  return {
    facts,
    step: (title) => void out.write(`\n${title}  [${Math.round((Date.now() - started) / 1_000)} s]\n`),
    note(name, value, words) {
      facts[name] = value;
      out.write(`  ${words}\n`);
    },
  };
}

/** The demo's own proof: a false claim ends it. */
export function claim(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

export const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

/** Columns padded to their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((row) => (row[c] ?? '').length)));
  return rows.map((row) => `  ${row.map((cell, c) => cell.padEnd(widths[c] ?? 0)).join('  ')}`.trimEnd()).join('\n');
}
