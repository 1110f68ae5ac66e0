// How often each tool has been called and has completed, in this process and in the journal.
//
// `--journal FILE` appends a line for each event, so that a test can read what several processes
// have done without a call of its own.

import { appendFileSync } from 'node:fs';
import { flag } from './serve.mjs';

const journal = flag('--journal');
const counted = { request: new Map(), commit: new Map() };

/** Counts a call of a tool as its handler is entered. */
export function request(name, key) {
  count('request', name, key);
}

/** Counts the effect of a tool, its last deed. */
export function commit(name, key) {
  count('commit', name, key);
}

function count(event, name, key) {
  const counter = counted[event];
  for (const each of key === undefined ? [name] : [name, `${name}:${key}`]) counter.set(each, (counter.get(each) ?? 0) + 1);
  // A short line is appended in one piece, whoever else writes.
  if (journal) appendFileSync(journal, `${JSON.stringify({ event, name, key })}\n`);
}

export function commits() {
  return Object.fromEntries(counted.commit);
}

export function requests() {
  return Object.fromEntries(counted.request);
}
