// Calls that may become tasks, as the clients of the scripts follow them to their end.

import { pause } from './driver.mjs';

export const TASKS = 'io.modelcontextprotocol/tasks';
const CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const POLL_MS_MAX = 1000;
const TERMINAL = new Set(['completed', 'failed', 'cancelled']);

/** What an entry says of a task: its id, the statuses it went through, and how often it was asked. */
export function begin(entry, { taskId, status }) {
  entry.task = { taskId, statuses: [status], polls: 0 };
  return (next) => {
    entry.task.polls += 1;
    if (entry.task.statuses.at(-1) !== next) entry.task.statuses.push(next);
  };
}

/** The parameters of a 2026-07-28 request by a client that knows tasks. */
export function declaring(params, capabilities) {
  const declared = { ...capabilities, extensions: { ...capabilities.extensions, [TASKS]: {} } };
  return { ...params, _meta: { ...params._meta, [CLIENT_CAPABILITIES]: declared } };
}

/** Follows a task of the extension; `answer(method, params)` answers what it asks. */
export async function followExtension(task, { raw, capabilities, answer, entry, timeout }) {
  const changed = begin(entry, task);
  const end = performance.now() + timeout;
  const { taskId } = task;
  const ask = (method, params) => raw(method, declaring({ taskId, ...params }, capabilities));
  const answered = new Set();
  while (performance.now() < end) {
    await pause(Math.min(task.pollIntervalMs ?? POLL_MS_MAX, POLL_MS_MAX));
    const now = await ask('tasks/get', {});
    changed(now.status);
    if (now.status === 'completed') return now.result;
    if (now.status === 'failed') throw Object.assign(new Error(now.error.message), now.error);
    if (now.status === 'cancelled') throw new Error('the task was cancelled');
    const open = Object.entries(now.inputRequests ?? {}).filter(([key]) => !answered.has(key));
    if (open.length === 0) continue;
    const inputResponses = {};
    for (const [key, { method, params }] of open) {
      inputResponses[key] = await answer(method, params);
      answered.add(key);
    }
    await ask('tasks/update', { inputResponses });
  }
  throw new Error(`the task is not over after ${timeout} ms`);
}

/** Follows a task of 2025-11-25; what it asks comes while its result is waited for. */
export async function followCore(task, { raw, entry, timeout }) {
  const changed = begin(entry, task);
  const end = performance.now() + timeout;
  const { taskId } = task;
  let { status } = task;
  while (!TERMINAL.has(status) && status !== 'input_required') {
    if (performance.now() > end) throw new Error(`the task is not over after ${timeout} ms`);
    await pause(Math.min(task.pollInterval ?? POLL_MS_MAX, POLL_MS_MAX));
    ({ status } = await raw('tasks/get', { taskId }));
    changed(status);
  }
  return raw('tasks/result', { taskId });
}
