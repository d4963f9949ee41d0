/** Where things lie. `GRAFT_CACHE` moves the download cache, so that several checkouts (or CI runs) share one. */
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '..');
export const VENV = join(ROOT, '.venv');
export const PYTHON = join(VENV, 'bin', 'python');
export const WEED = join(VENV, 'bin', 'weed');
export const STATE = join(ROOT, '.graft');
export const BACKBONES = join(STATE, 'backbones');
export const CACHE = process.env['GRAFT_CACHE'] ? resolve(process.env['GRAFT_CACHE']) : join(STATE, 'cache');
/** The pinned Node (npm package `node`) that everything runs on, whatever Node started it. */
export const NODE = join(ROOT, 'node_modules', 'node', 'bin', 'node');
