/** Rows of one page of a tenant's events, newest first, one more than the page holds when there is another page. */
import type { Event } from '../../../shared/wire/webhooks.ts';
import type { Deps } from '../../deps.ts';
import { listEvents as readEvents } from '../../stores/events.ts';
import { presentEvent } from '../webhooks/present-webhook.ts';

export async function listEvents(deps: Pick<Deps, 'db'>, input: { tenant: string; page: { limit: number; after: string | null } }): Promise<Event[]> {
  return (await readEvents(deps.db, input.tenant, input.page)).map(presentEvent);
}
