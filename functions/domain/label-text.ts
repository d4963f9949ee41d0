/** What a text network reads when it is told about a label: its name in words, and its description when there is one. */
export function labelText(name: string, description: string | null): string {
  const words = name.replaceAll(/[_-]+/g, ' ').replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1 $2');
  return description ? `${words}: ${description}` : words;
}

/**
 * The wordings that a label is embedded in, whose directions are averaged: its words, and a sentence of them, as inputs are sentences (prompt ensembles,
 * Radford et al. 2021). Chosen with the other constants of names (docs/decisions/0004).
 */
export const labelWordings = (text: string): string[] => [text, `The topic is ${text}.`];
