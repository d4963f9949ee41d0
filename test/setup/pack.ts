/// <reference types="vite/client" />
/** The picture pack inside workerd, where there are no files: the bundler hands them over as data URLs. */
const urls = import.meta.glob<string>('../pack/classes/*/*.png', { query: '?inline', import: 'default', eager: true });

/** All pictures of a class, by file name. */
export function packPictures(label: string): Uint8Array[] {
  const found = Object.entries(urls)
    .filter(([path]) => path.includes(`/classes/${label}/`))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (found.length === 0) throw new Error(`the pack has no class ${label}`);
  return found.map(([, url]) => Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (c) => c.charCodeAt(0)));
}
