/** The Worker: HTTP, queue, schedule and the Durable Object class. */
import { makeApp } from './app.ts';
import { depsFor } from './deps.ts';
import type { QueueMessage } from './domain/queue-message.ts';
import type { Bindings } from './env.ts';
import { consumeQueue } from './queue/consume.ts';
import { runScheduled } from './queue/scheduled.ts';

export { Classifier } from './durable/classifier.ts';

const app = makeApp();

// The platform demands a default export with these handlers.
export default {
  fetch: (request, env, context) => app.fetch(request, env, context),
  queue: (batch, env) => consumeQueue(batch, depsFor(env)),
  scheduled: (_, env) => runScheduled(depsFor(env)),
} satisfies ExportedHandler<Bindings, QueueMessage>;
