/** What every handler finds on Hono's context. */
import type { Scope } from '../../shared/wire/scopes.ts';
import type { Deps } from '../deps.ts';
import type { Bindings } from '../env.ts';

/** Who is calling: the operator (environment key, may create tenants) or one tenant by one of its keys. */
export type Actor =
  | { readonly kind: 'operator' }
  | { readonly kind: 'tenant'; readonly tenant: string; readonly key: string; readonly scopes: readonly Scope[] };

export type HttpEnv = {
  Bindings: Bindings;
  Variables: {
    deps: Deps;
    requestId: string;
    /** Set by `requireScope` and `requireOperator`. */
    actor: Actor;
    /** Set while a body without a declared length is read and passes its limit: parsers in between may swallow the error itself. */
    bodyOverLimit: number;
  };
};
