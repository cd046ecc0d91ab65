import { gettext, moment } from './words.js';

const DAY = 86_400_000;

/** The heading under which a conversation of `date` stands, today being `now`. */
export function dayOf(date, now = new Date()) {
  const days = Math.round((startOf(now) - startOf(date)) / DAY);
  if (days <= 0) return gettext('Today');
  if (days === 1) return gettext('Yesterday');
  if (days < 7) return gettext('The last seven days');
  if (date.getFullYear() === now.getFullYear()) return moment(date, { month: 'long' });
  return moment(date, { month: 'long', year: 'numeric' });
}

const startOf = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
