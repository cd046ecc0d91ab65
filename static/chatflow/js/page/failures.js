import { button, element, icon } from './dom.js';
import { link } from './links.js';
import { isStopped } from './turn-state.js';
import { gettext } from './words.js';

/**
 * Why a turn has no answer, and the way on.
 *
 * @param {object} turn `error`, `code`, `jobId`; for staff `admin_url` and perhaps `exception`
 * @param {object} options `again`: tries again; `isNew`: it has failed before the reader's eyes
 */
export function failureBox(turn, { again, isNew }) {
  const { error: text, jobId, admin_url: adminUrl, exception } = turn;
  if (isStopped(turn)) return element('p', { className: 'note', textContent: text });
  const box = element(
    'div',
    { className: 'failure' },
    element('p', { className: 'failure__text' }, icon('warning'), element('span', { textContent: text, dir: 'auto' })),
    exception ? element('details', {}, element('summary', { textContent: gettext('The exception') }), code(exception)) : null,
    element(
      'p',
      { className: 'failure__foot' },
      again ? button(gettext('Try again'), again, 'button button--small') : null,
      adminUrl ? link(gettext('Open in the admin'), adminUrl) : null,
      jobId ? element('span', { className: 'failure__job' }, `${gettext('Job')} `, element('code', { textContent: jobId })) : null,
    ),
  );
  if (isNew) box.setAttribute('role', 'alert');
  return box;
}

const code = (text) => element('pre', { textContent: text, tabIndex: 0, dir: 'ltr' });
