/** `npm run check`: format, type-aware lint, types, dead code, import ranks, file lengths, and the same for the engine. Ends with `N passed, N failed`. */
import { runChecks } from './check/run.ts';
import { ensureSetup } from './setup/main.ts';

await ensureSetup();
const { passed, failed } = await runChecks();
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
