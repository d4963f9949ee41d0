/** Words of an engine or a library as long as the Worker takes them: refused for their length they would say nothing at all. */
const MARK = ' … (cut)';

/** `text` itself, or so much of it that it has `maxChars` UTF-16 units with the mark at its end. */
export function cut(text: string, maxChars: number): string {
  // A pair of surrogates may be cut in two.
  return text.length <= maxChars ? text : text.slice(0, maxChars - MARK.length).toWellFormed() + MARK;
}
