import { element } from './dom.js';
import { gettext } from './words.js';

const MARKS = {
  cut_off: () => gettext('The answer is cut off here: it was too long for the model.'),
  broken_off: () => gettext('The answer broke off here.'),
};

/** What keeps an answer from being whole, in a line below it; null if it is. */
export function answerMark(metadata) {
  const name = Object.keys(MARKS).find((each) => metadata?.[each]);
  return name ? element('p', { className: 'message__mark', textContent: MARKS[name]() }) : null;
}
