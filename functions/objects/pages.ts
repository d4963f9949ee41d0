import type { Objects } from './objects.ts';
import type { ListedObject } from './s3-xml.ts';

/** All objects under a prefix, a listing at a time; what is deleted between two of them disturbs none. */
export async function* pages(objects: Pick<Objects, 'list'>, prefix: string): AsyncGenerator<ListedObject[]> {
  let from: string | null = null;
  do {
    const page: Awaited<ReturnType<Objects['list']>> = await objects.list(prefix, from);
    yield page.objects;
    from = page.next;
  } while (from !== null);
}
