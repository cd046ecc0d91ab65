// Runs the same run until it has an end, and says what it sees: `node ag_ui_lost.mjs URL TOKEN TEXT`.

import { setTimeout as pause } from 'node:timers/promises';
import { HttpAgent } from '@ag-ui/client';

const [url, token, content] = process.argv.slice(2);
const agent = new HttpAgent({ url: `${url}/ag-ui/`, headers: { Authorization: `Bearer ${token}` }, threadId: 'lost' });
agent.addMessage({ id: 'u1', role: 'user', content });

let told;
function tell(what) {
  if (what !== told) console.log(what);
  told = what;
}

// The client rejects runAgent(), and another promise that it has given to nobody.
process.on('unhandledRejection', () => tell('lost'));
let last;
console.error = () => {};
while (!['RUN_FINISHED', 'RUN_ERROR'].includes(last)) {
  await agent.runAgent({ runId: 'r' }, {
    onEvent: ({ event }) => { last = event.type; },
    onMessagesChanged: ({ messages }) => {
      const said = messages.findLast((each) => each.role === 'assistant')?.content;
      if (said) tell(said.split(' ')[0]);
    },
  }).catch(() => tell('lost'));
  await pause(50);
}
console.log(JSON.stringify(agent.messages.filter((each) => each.role !== 'activity').map((each) => each.content)));
