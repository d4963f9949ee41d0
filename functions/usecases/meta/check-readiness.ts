/** Whether this deployment can serve: database, object storage and the published backbones, each tried for real. */
import { SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import type { Readiness } from '../../../shared/wire/meta.ts';
import type { Deps } from '../../deps.ts';
import { missingInSchema } from '../../stores/schema-check.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

type Part = Readiness['parts'][number];

async function tried(name: string, work: () => Promise<string | null>): Promise<Part> {
  try {
    const trouble = await work();
    return { name, ready: trouble === null, detail: trouble };
  } catch (error) {
    console.warn(JSON.stringify({ message: 'a part is not ready', part: name, error: forTheLog(error) }));
    return { name, ready: false, detail: 'does not answer' };
  }
}

export async function checkReadiness(deps: Pick<Deps, 'db' | 'objects' | 'catalogue'>): Promise<Readiness> {
  const parts = await Promise.all([
    tried('database', async () => {
      const missing = await missingInSchema(deps.db);
      return missing && `migrations were not applied (${missing})`;
    }),
    tried('object_storage', async () => {
      await deps.objects.head('health/ready');
      return null;
    }),
    tried('backbones', async () => {
      const published = new Set((await deps.catalogue.list()).map((backbone) => backbone.id));
      const absent = Object.values(SHIPPED_BACKBONES).filter((id) => !published.has(id));
      return absent.length === 0 ? null : `not published: ${absent.join(', ')}`;
    }),
  ]);
  return { ready: parts.every((part) => part.ready), parts };
}
