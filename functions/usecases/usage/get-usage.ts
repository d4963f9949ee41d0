/** What a tenant used between two UTC days. Predictions are counted with a delay of seconds; see record-predictions.ts. */
import { GraftError } from '../../../shared/errors.ts';
import type { Usage, UsageQuery } from '../../../shared/wire/usage.ts';
import type { Deps } from '../../deps.ts';
import { dayOf, listUsage, storedBytes } from '../../stores/usage.ts';

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
const DAYS_MAX = 400;

export async function getUsage(deps: Pick<Deps, 'db' | 'now'>, tenant: string, query: UsageQuery): Promise<Usage> {
  const to = dayOf(query.to === undefined ? deps.now() : Date.parse(query.to));
  const from = dayOf(query.from === undefined ? Date.parse(to) - DEFAULT_DAYS * DAY_MS : Date.parse(query.from));
  const span = (Date.parse(to) - Date.parse(from)) / DAY_MS;
  if (span < 0) throw new GraftError('invalid_request', `"from" (${from}) is after "to" (${to}).`, { param: 'from' });
  if (span > DAYS_MAX) throw new GraftError('invalid_request', `At most ${DAYS_MAX} days can be asked at once.`, { param: 'from' });
  const [rows, stored] = await Promise.all([listUsage(deps.db, tenant, from, to), storedBytes(deps.db, tenant, to)]);
  const none = { predictions: 0, enrollments: 0, training_seconds: 0 };
  const total = { ...none };
  const days = new Map<string, typeof none>();
  for (const { day, metric, amount } of rows) {
    if (metric === 'stored_bytes') continue;
    const of = days.get(day) ?? { ...none };
    of[metric] += amount;
    total[metric] += amount;
    days.set(day, of);
  }
  return { object: 'usage', from, to, ...total, stored_bytes: stored, days: [...days].map(([day, amounts]) => ({ day, ...amounts })) };
}
