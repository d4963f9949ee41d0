/** Text in general, for the background statistics: templates over everyday topics, 256 sentences. Not drawn from any dataset. */
const TOPICS = ['the weather', 'a football match', 'the new budget', 'our garden', 'an old car', 'the school play', 'a train journey', 'the kitchen', 'a broken phone', 'the museum', 'my neighbour', 'a software update', 'the harbour', 'a birthday party', 'the election', 'a recipe for soup']; // prettier-ignore
const FRAMES = [
  'Nobody expected to hear so much about {} yesterday.', 'She wrote a short article on {} for the local paper.', 'Could you tell me more about {} when you have time?',
  'They argued for an hour over {} and then went home.', 'Here is everything that I remember about {}.', 'Photographs of {} were shown in the hall.', 'The committee will discuss {} on Monday.',
  'He is tired of hearing about {}.', 'I read a book that begins with {}.', 'There is something strange about {}, if you ask me.', 'Please do not forget about {} tonight.', 'The children drew pictures of {}.',
  'Prices rose again because of {}.', 'A long letter about {} arrived this morning.', 'It takes patience to understand {}.', 'We laughed a great deal about {}.',
]; // prettier-ignore
export const BACKGROUND_SENTENCES: readonly string[] = FRAMES.flatMap((frame) => TOPICS.map((topic) => frame.replace('{}', topic)));
