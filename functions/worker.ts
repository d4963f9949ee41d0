/** The Worker: HTTP, queue, schedule and the Durable Object class. */
import { makeApp } from './app.ts';
import type { Bindings } from './env.ts';

export { Classifier } from './durable/classifier.ts';

const app = makeApp();

// The platform demands a default export with these handlers.
export default {
  fetch: (request, env, context) => app.fetch(request, env, context),
} satisfies ExportedHandler<Bindings>;
