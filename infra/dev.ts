/** `npm run dev [-- --port N --data DIR --json]`: the whole stack until SIGINT or SIGTERM. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { STATE } from './paths.ts';
import { ensureSetup } from './setup/main.ts';
import { startStack } from './stack.ts';

const { values } = parseArgs({ options: { port: { type: 'string' }, data: { type: 'string' }, json: { type: 'boolean' } } });
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const port = values.port === undefined ? undefined : Number(values.port);
if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
  say(`--port ${values.port} is not a port number.`);
  process.exit(2);
}
const stopped = new Promise<void>((resolve) => {
  // Ctrl-C reaches this process from the terminal and again from whoever started it: without a listener the second would end it before its parts.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
});
try {
  await ensureSetup();
  const stack = await startStack({ dataDir: values.data ?? join(STATE, 'dev'), ...(port === undefined ? {} : { port }), onProgress: say });
  if (values.json) process.stdout.write(`${JSON.stringify({ ready: true, url: stack.url, operator_key: stack.operatorKey })}\n`);
  else
    process.stdout.write(`\nGraft is ready at ${stack.url}\n\n  export GRAFT_URL=${stack.url}\n  export GRAFT_OPERATOR_KEY=${stack.operatorKey}\n\n`);
  await stopped;
  say('Stopping …');
  await stack.stop();
  process.exit(0);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
