/** File lengths: the aim is 80–250 lines; a longer file gives its reason here and has a ceiling of its own, so that it cannot grow unseen. */
export const LINES_MAX = 250;

/** Why one file may be longer, and how long. */
export const LONGER: Readonly<Record<string, { readonly lines: number; readonly why: string }>> = {
  'functions/db/schema.ts': { lines: 320, why: 'one table after the other; a reader looks one up' },
};

/** One sentence per file that is too long; `files` maps a path to its text. */
export function lengthFaults(files: ReadonlyMap<string, string>): string[] {
  const faults: string[] = [];
  for (const [file, text] of files) {
    const lines = text.split('\n').length - 1;
    const allowed = LONGER[file]?.lines ?? LINES_MAX;
    if (lines > allowed) faults.push(`${file}: ${lines} lines, at most ${allowed}`);
  }
  for (const file of Object.keys(LONGER)) if (!files.has(file)) faults.push(`${file} is in the list of long files and does not exist`);
  return faults;
}
