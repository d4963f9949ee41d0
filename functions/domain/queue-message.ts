/** A queue message only wakes work that a row already records; losing one delays, never loses. */
export type QueueMessage = { readonly kind: 'deliver'; readonly delivery: string } | { readonly kind: 'sweep' };
