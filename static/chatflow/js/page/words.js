/** The interface's words: in English in the code, in other languages by the catalogue that the page brings along. */

const PLACEHOLDER = /\{(\w+)\}/g;
// Milliseconds.
const SHORTEST = 50;
let catalogue = null;

/** `text` in the page's language, with `{name}` filled in from `values`. */
export function gettext(text, values = {}) {
  return filled(known()[text] ?? text, values);
}

/** The same for a count, which is filled in as `{count}`. */
export function ngettext(one, many, count, values = {}) {
  const found = known()[one];
  // Every language that Chatflow speaks so far counts as English does.
  const [single, several] = Array.isArray(found) ? found : [one, many];
  return filled(count === 1 ? single : several, { count: number(count), ...values });
}

/** The page's language, for numbers and dates. */
export const language = () => globalThis.document?.documentElement?.lang || undefined;

export const number = (value, options) => new Intl.NumberFormat(language(), options).format(value);

export const moment = (date, options = { dateStyle: 'medium', timeStyle: 'short' }) =>
  new Intl.DateTimeFormat(language(), options).format(date);

/** Milliseconds as people say them: "0.4 s", "12 s", "3 min 20 s". */
export function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${number(seconds, { maximumFractionDigits: 1 })} s`;
  if (seconds < 60) return `${number(Math.round(seconds))} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${number(Math.floor(whole / 60))} min ${number(whole % 60)} s`;
  return `${number(Math.floor(whole / 3600))} h ${number(Math.floor((whole % 3600) / 60))} min`;
}

/** The same; nothing for what is too short to be told. */
export const durationIfAny = (milliseconds) => (milliseconds >= SHORTEST ? duration(milliseconds) : '');

/** Take these words in place of the page's: another page shows a part of this one. */
export const learn = (words) => void (catalogue = words);

function filled(text, values) {
  return text.replace(PLACEHOLDER, (all, name) => (name in values ? String(values[name]) : all));
}

function known() {
  catalogue ??= JSON.parse(globalThis.document?.getElementById('words')?.textContent || '{}');
  return catalogue;
}
