/** Bodies of `/v1/tenants` and of keys. */
import { z } from 'zod';
import { Scope } from './scopes.ts';

export const CreateTenant = z.strictObject({ name: z.string().trim().min(1).max(200) }).meta({ id: 'CreateTenant' });
export type CreateTenant = z.infer<typeof CreateTenant>;

export const Tenant = z.object({ object: z.literal('tenant'), id: z.string(), name: z.string(), created_at: z.string() }).meta({ id: 'Tenant' });
export type Tenant = z.infer<typeof Tenant>;

export const CreateKey = z
  .strictObject({
    name: z.string().trim().min(1).max(200),
    scopes: z.array(Scope).min(1).max(4),
    expires_at: z.iso.datetime({ offset: true }).nullable().optional(),
  })
  .meta({ id: 'CreateKey' });
export type CreateKey = z.infer<typeof CreateKey>;

export const Key = z
  .object({
    object: z.literal('key'),
    id: z.string(),
    name: z.string(),
    hint: z.string().meta({ description: 'The last four characters of the key.' }),
    scopes: z.array(Scope),
    expires_at: z.string().nullable(),
    created_at: z.string(),
  })
  .meta({ id: 'Key' });
export type Key = z.infer<typeof Key>;

/** The only answer that ever holds the key itself. */
export const NewKey = Key.extend({ key: z.string() }).meta({ id: 'NewKey' });
export type NewKey = z.infer<typeof NewKey>;
