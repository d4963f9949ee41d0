/** `npx drizzle-kit generate` writes the next numbered migration from the schema. */
import type { Config } from 'drizzle-kit';

// drizzle-kit demands a default export.
export default { dialect: 'sqlite', schema: './functions/db/schema.ts', out: './functions/db/migrations' } satisfies Config;
