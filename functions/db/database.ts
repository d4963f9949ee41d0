/** The type of the D1 handle that stores take. It lives beside the tables so that stores need nothing from the composition root. */
import type { DrizzleD1Database } from 'drizzle-orm/d1';
import type * as schema from './schema.ts';

export type Database = DrizzleD1Database<typeof schema>;
