/// <reference types="vite/client" />
/** The ONNX fixtures inside workerd, where there are no files: the bundler hands them over as data URLs. */
const urls = import.meta.glob<string>('../fixtures/backbones/*.onnx', { query: '?url&inline', import: 'default', eager: true });

/** A network of test/fixtures/backbones by its name. */
export function fixtureNetwork(name: string): Uint8Array<ArrayBuffer> {
  const url = urls[`../fixtures/backbones/${name}.onnx`];
  if (!url?.startsWith('data:')) throw new Error(`there is no fixture ${name}: ${url}`);
  return Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (c) => c.charCodeAt(0));
}

const references = import.meta.glob<{ rgb: [number, number, number]; embedding: number[] }>('../fixtures/backbones/*.json', {
  import: 'default',
  eager: true,
});

/** A picture of one colour, and what the network's own framework gives for it. */
export function fixtureReference(name: string): { rgb: [number, number, number]; embedding: number[] } {
  const found = references[`../fixtures/backbones/${name}.json`];
  if (!found) throw new Error(`there is no reference for ${name}`);
  return found;
}
