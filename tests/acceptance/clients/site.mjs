// The running site that a script is about: `node SCRIPT.mjs URL TOKEN OTHERS_TOKEN GATES`.

import { existsSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const [url, token, othersToken, gates] = process.argv.slice(2);
export { url, token, othersToken };

export const headersOf = (bearer) => ({ Authorization: `Bearer ${bearer}` });

export async function until(look) {
  for (;;) {
    const found = await look();
    if (found) return found;
    await pause(10);
  }
}

// Workflows wait at a gate that is shut.
export const shut = (gate) => writeFileSync(`${gates}/${gate}.closed`, '');
export const open = (gate) => unlinkSync(`${gates}/${gate}.closed`);
export const visits = (gate) => (existsSync(`${gates}/${gate}.visits`) ? statSync(`${gates}/${gate}.visits`).size : 0);
export const atGate = (gate) => until(() => visits(gate));
