/** Races by hand: something happens after the caller has looked at the database and before it writes. */
import type { Deps } from '../../functions/deps.ts';

/** The same dependencies; `happens` runs once, right before the next `db.batch`. */
export function meanwhile(deps: Deps, happens: () => Promise<unknown>): Deps {
  let due = true;
  const db = new Proxy(deps.db, {
    get(target, name) {
      const own: unknown = Reflect.get(target, name);
      if (name !== 'batch') return typeof own === 'function' ? (own as () => unknown).bind(target) : own;
      return async (statements: Parameters<Deps['db']['batch']>[0]) => {
        if (due) {
          due = false;
          await happens();
        }
        return await target.batch(statements);
      };
    },
  });
  return { ...deps, db };
}
