import { element } from './dom.js';
import { duration, durationIfAny, gettext, moment, ngettext, number } from './words.js';

/** Model, tokens, cost and time of a turn, in one line; the details stand in its title. */
export function turnFacts(turn) {
  const { model, input_tokens: input = 0, output_tokens: output = 0, cost, duration_ms: milliseconds } = turn;
  const tokens = (input ?? 0) + (output ?? 0);
  const parts = [
    model,
    tokens > 0 && ngettext('{count} token', '{count} tokens', tokens),
    cost !== null && cost !== undefined && `$${number(Number(cost), { maximumSignificantDigits: 2 })}`,
    durationIfAny(milliseconds),
  ].filter(Boolean);
  if (!parts.length) return null;
  return element('p', { className: 'turn__facts', textContent: parts.join(' · '), title: details(turn) });
}

function details({ requests, input_tokens: input, output_tokens: output, queue_ms: queued, finished_at: at, title, attempts }) {
  const lines = [
    title,
    requests > 0 && ngettext('{count} request to the model', '{count} requests to the model', requests),
    input > 0 && gettext('{input} tokens in, {output} out', { input: number(input), output: number(output ?? 0) }),
    queued > 0 && gettext('Waited {time} in the queue', { time: duration(queued) }),
    attempts > 1 && ngettext('{count} attempt', '{count} attempts', attempts),
    at && moment(new Date(at)),
  ];
  return lines.filter(Boolean).join('\n');
}
