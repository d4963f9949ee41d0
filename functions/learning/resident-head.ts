/** A head as an isolate holds it to answer with: its large rows in the isolate's RowMemory, equal centres held once. */
import type { Head, HeadComponent } from '../../shared/head.ts';
import type { PlacedRows, RowMemory } from './row-memory.ts';

export type ResidentHead = {
  readonly head: Head;
  /** Of its file's bytes, how many lie in the RowMemory; 0 once released. */
  readonly placedBytes: number;
  /** Gives the rows' place back. Who still holds the head can go on using it. */
  release(): void;
};

/** Null when its rows do not fit as the memory is now: free others and ask again, or use the head as it is. */
export function placeHead(head: Head, memory: RowMemory): ResidentHead | null {
  const placed: PlacedRows[] = [];
  const release = (): void => {
    for (const rows of placed) memory.free(rows);
  };
  const move = (values: Float32Array): PlacedRows | null => {
    const there = memory.place(values);
    if (there) placed.push(there);
    return there;
  };
  const centers: { readonly given: Float32Array; readonly rows: PlacedRows }[] = [];
  const centerOf = (given: Float32Array): PlacedRows | null => {
    const same = centers.find((c) => c.given.length === given.length && c.given.every((v, i) => v === given[i]));
    if (same) return same.rows;
    const rows = move(given);
    if (rows) centers.push({ given, rows });
    return rows;
  };
  const parts: HeadComponent[] = [];
  for (const component of head.components) {
    const [center, weight] = [centerOf(component.center), move(component.weight)];
    if (!center || !weight) return (release(), null);
    parts.push(withRows(component, { center, weight }));
  }
  let support = head.support;
  if (support && support.labelOf.length > 0) {
    const [center, rows, factor] = [centerOf(support.center), move(support.rows), move(support.factor)];
    if (!center || !rows || !factor) return (release(), null);
    support = withRows(support, { center, rows, factor });
  }
  const resident = {
    head: { ...head, components: parts, support },
    placedBytes: placed.reduce((sum, p) => sum + p.bytes, 0),
    release: () => {
      release();
      resident.placedBytes = 0;
    },
  };
  return resident;
}

/** Read through the place, which knows where the rows are now: a memory that grows moves them. */
function withRows<T extends object>(owner: T, rows: { readonly [K in keyof T]?: PlacedRows }): T {
  const made = { ...owner };
  for (const [key, placed] of Object.entries<PlacedRows>(rows as Record<string, PlacedRows>))
    Object.defineProperty(made, key, { get: () => placed.values, enumerable: true });
  return made;
}
