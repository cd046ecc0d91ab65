/** What `<chatflow-chat>` consists of, and its look: light or dark by the page's color-scheme. */

export const MARKUP = `
  <div class="messages" role="log" aria-live="polite" tabindex="0" aria-label="Conversation"></div>
  <p class="state" role="status"></p>
  <div class="work" hidden><progress max="100" aria-label="Progress"></progress><span class="step"></span>
    <button class="stop" type="button">Stop</button></div>
  <div class="choices" role="group" aria-label="Answers"></div>
  <form><textarea rows="2" aria-label="Message" placeholder="Message"></textarea><button>Send</button></form>`;

export const CSS = `
  :host { display: flex; flex-direction: column; gap: .5rem; block-size: 30rem; padding: .75rem; box-sizing: border-box;
    font: 1rem/1.5 system-ui, sans-serif; color: CanvasText; background: Canvas; border: 1px solid GrayText; border-radius: .5rem; }
  :host([hidden]), [hidden] { display: none !important; }
  .messages { flex: 1; overflow-y: auto; display: flex; flex-direction: column; gap: .5rem; }
  article { max-inline-size: 85%; padding: .4rem .7rem; border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere;
    background: color-mix(in srgb, CanvasText 8%, Canvas); }
  article:empty { display: none; }
  .user { align-self: end; background: color-mix(in srgb, CanvasText 18%, Canvas); }
  .error { border: 1px solid; }
  .state { margin: 0; }
  .state:empty, .choices:empty { display: none; }
  .work, .choices, form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
  .choices p { flex-basis: 100%; max-block-size: 10rem; margin: 0; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
  .step { flex: 1; }
  textarea { flex: 1; min-inline-size: 8rem; resize: vertical; }
  textarea, button { font: inherit; color: inherit; background: Canvas; border: 1px solid GrayText; border-radius: .4rem; padding: .35rem .7rem; }
  :focus-visible { outline: 2px solid Highlight; outline-offset: 2px; }`;
