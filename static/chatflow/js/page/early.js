import { byId, sends } from './dom.js';

/**
 * Small, and there until the page's own script has begun: what is sent meanwhile waits in the composer's `data-early`, as
 * it stood, and reloads nothing. The composer and the page put their own listeners in the place of these.
 */

const form = byId('composer');
const { message, send } = form;

message.oninput = () => (send.disabled = !message.value.trim());
message.onkeydown = (event) => {
  if (!sends(event)) return;
  event.preventDefault();
  form.requestSubmit();
};
form.onsubmit = (event) => {
  event.preventDefault();
  keep(message.value);
};
byId('suggestions').onclick = ({ target }) => keep(target.dataset.message);

function keep(text) {
  // A slash asks for the list of workflows, which Enter would choose from.
  if (text?.trim() && !text.startsWith('/')) form.dataset.early = text;
}
