/** Webhook secrets at rest: sealed, and bound to the webhook that they belong to. */
import { seal, unseal } from '../../domain/seal.ts';
import type { Deps } from '../../deps.ts';
import type { WebhookRow } from '../../stores/webhooks.ts';

const contextOf = (webhook: string) => `webhook/${webhook}`;

export async function sealSecret(deps: Pick<Deps, 'settings'>, webhook: string, secret: string): Promise<string> {
  return await seal(deps.settings.secretKey, secret, contextOf(webhook));
}

/** The secrets that sign now: the current one and, within a day of a rotation, the one before. */
export async function signingSecrets(deps: Pick<Deps, 'settings'>, row: WebhookRow, now: number): Promise<string[]> {
  const sealed = [row.secretSealed];
  if (row.previousSecretSealed !== null && (row.previousSecretUntil ?? 0) > now) sealed.push(row.previousSecretSealed);
  return await Promise.all(sealed.map(async (text) => await unseal(deps.settings.secretKey, text, contextOf(row.id))));
}
