/** What a key may do. `admin` includes the others, because an admin key could make itself a key with them anyway. */
import { z } from 'zod';

export const SCOPES = ['predict', 'enroll', 'train', 'admin'] as const;
export const Scope = z.enum(SCOPES).meta({ id: 'Scope' });
export type Scope = z.infer<typeof Scope>;
