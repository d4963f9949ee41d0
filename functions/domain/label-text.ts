/** What a text network reads when it is told about a label: its name in words, and its description when there is one. */
export function labelText(name: string, description: string | null): string {
  const words = name.replaceAll(/[_-]+/g, ' ').replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1 $2');
  return description ? `${words}: ${description}` : words;
}
