/** What `<chatflow-chat>` consists of, and its look: light or dark by the page's color-scheme. */

/** @param {(text: string) => string} say in the language of the element */
export const markup = (say) => `
  <div class="messages" role="log" aria-live="polite" tabindex="0" aria-label="${say('Conversation')}"></div>
  <p class="state" role="status"></p>
  <div class="work" hidden><progress max="100" aria-label="${say('Progress')}"></progress><span class="step"></span>
    <button class="stop" type="button">${say('Stop')}</button></div>
  <div class="choices" role="group" aria-label="${say('Answers')}"></div>
  <form><textarea rows="2" aria-label="${say('Message')}" placeholder="${say('Message')}"></textarea><button>${say('Send')}</button></form>`;

// The variables are those of the page's Markdown.
export const CSS = `
  :host { display: flex; flex-direction: column; gap: .5rem; block-size: 30rem; padding: .75rem; box-sizing: border-box;
    font: 1rem/1.5 system-ui, sans-serif; color: CanvasText; background: Canvas; border: 1px solid GrayText; border-radius: .5rem;
    --text: CanvasText; --text-soft: CanvasText; --line: color-mix(in srgb, CanvasText 25%, Canvas); --line-strong: GrayText;
    --surface-sunken: Canvas; --surface-hover: color-mix(in srgb, CanvasText 8%, Canvas); --accent-strong: LinkText; --accent-soft: Canvas;
    --danger: CanvasText; --radius-small: .4rem; --mono: ui-monospace, monospace; }
  :host([hidden]), [hidden] { display: none !important; }
  .messages { flex: 1; overflow-y: auto; display: flex; flex-direction: column; gap: .5rem; }
  .messages > * { max-inline-size: 85%; padding: .4rem .7rem; border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere;
    background: color-mix(in srgb, CanvasText 8%, Canvas); }
  .messages > :empty { display: none; }
  .markdown { white-space: normal; }
  .markdown .icon { display: none; }
  .user { align-self: end; background: color-mix(in srgb, CanvasText 18%, Canvas); }
  .error { border: 1px solid; }
  .error p, .state { margin: 0; }
  .state:empty, .choices:empty { display: none; }
  .work, .choices, form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
  .choices p { flex-basis: 100%; max-block-size: 10rem; margin: 0; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
  .step { flex: 1; }
  textarea { flex: 1; min-inline-size: 8rem; resize: vertical; }
  textarea, button { font: inherit; color: inherit; background: Canvas; border: 1px solid GrayText; border-radius: .4rem; padding: .35rem .7rem; }
  :focus-visible { outline: 2px solid Highlight; outline-offset: 2px; }`;
