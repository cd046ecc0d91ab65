// Comes back whenever its stream breaks off, and says what it sees: `node ai_sdk_lost.mjs URL TOKEN TEXT`.

import { setTimeout as pause } from 'node:timers/promises';
import { Chat } from '@ai-sdk/react';
import { DefaultChatTransport } from 'ai';

const [url, token, text] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const chat = new Chat({
  id: 'lost',
  transport: new DefaultChatTransport({ api: `${url}/api/chat`, headers }),
});
const said = () => chat.lastMessage.parts.filter((part) => part.type === 'text').map((part) => part.text);

let told;
function tell(what) {
  if (what !== told) console.log(what);
  told = what;
}

chat['~registerMessagesCallback'](() => {
  if (chat.lastMessage.role === 'assistant' && said().join('') && chat.status === 'streaming') tell('words');
});
await chat.sendMessage({ text });
while (chat.status === 'error') {
  tell('lost');
  await pause(50);
  await chat.resumeStream();
}
console.log(JSON.stringify([chat.messages.length, ...said()]));
