// Tasks of 2025-11-25 for the conformance server: calls that ask for a task, of the tools in tasks.mjs.
//
// The SDK knows the messages and nothing behind them. As this version wants it, the list says which
// tools may be a task, a tool that must not be one refuses it, an error of a tool is a failed task, a
// task that is over cannot be cancelled, and questions of a task go out while somebody waits for its
// result.

import { z } from 'zod';
import { INVALID_PARAMS, TOOLS, Task, describeTask, nameForm, refusal } from './tasks.mjs';

/** What a server declares that lets the client choose. */
export const SESSION_TASKS = { list: {}, cancel: {}, requests: { tools: { call: {} } } };

const RELATED_TASK = 'io.modelcontextprotocol/related-task';
const METHOD_NOT_FOUND = -32601;
const TASKS_MAX = 1000;
const PARAMS = z.looseObject({});

/** The tasks of all sessions: a client finds its tasks in its next session again. */
export class SessionTasks {
  #tasks = new Map();

  /** Adds tasks to the server of one session. */
  install(server) {
    const handlers = server.server._requestHandlers;
    const list = handlers.get('tools/list');
    handlers.set('tools/list', async (request, cx) => {
      const { tools, ...rest } = await list(request, cx);
      return { tools: tools.map(withSupport), ...rest };
    });

    const call = handlers.get('tools/call');
    handlers.set('tools/call', async (request, cx) => {
      const { name, task } = request.params;
      const tool = TOOLS[name];
      if (task && tool) return this.#create(tool, request.params, cx);
      if (task) throw refusal(200, METHOD_NOT_FOUND, `${name} is never a task`);
      if (tool?.required) throw refusal(200, METHOD_NOT_FOUND, `${name} is always a task`);
      return call(request, cx);
    });

    const handle = (method, answer) => server.server.setRequestHandler(method, { params: PARAMS }, answer);
    handle('tasks/get', ({ taskId }) => describe(this.#task(taskId)));
    handle('tasks/result', ({ taskId }, cx) => this.#result(this.#task(taskId), cx));
    handle('tasks/cancel', ({ taskId }) => this.#cancel(this.#task(taskId)));
    handle('tasks/list', () => ({ tasks: [...this.#tasks.values()].map(describe) }));
  }

  async #create(tool, { arguments: given = {} }, cx) {
    const answers = tool.whenAnswered ? { [tool.whenAnswered]: await cx.mcpReq.elicitInput(nameForm.params) } : {};
    const task = new Task();
    if (this.#tasks.size >= TASKS_MAX) this.#tasks.delete(this.#tasks.keys().next().value);
    this.#tasks.set(task.id, task);
    task.start((self) => tool.run(given, self, answers));
    return { task: describe(task) };
  }

  #task(id) {
    const task = this.#tasks.get(id);
    if (!task) throw refusal(200, INVALID_PARAMS, 'there is no such task');
    return task;
  }

  /** Waits for the end, and asks what the task wants to know until then. */
  async #result(task, cx) {
    const asked = new Set();
    while (!task.isOver) {
      const moved = task.moved();
      const open = task.status === 'input_required' ? Object.entries(task.inputRequests) : [];
      for (const [id, question] of open.filter(([id]) => !asked.has(id))) {
        asked.add(id);
        ask(cx, task, question).then((answer) => task.update({ [id]: answer }));
      }
      await moved;
    }
    const { result, error } = task.outcome;
    if (!result) throw refusal(200, error?.code ?? INVALID_PARAMS, error?.message ?? 'the task was cancelled');
    return { ...result, _meta: { ...result._meta, [RELATED_TASK]: { taskId: task.id } } };
  }

  #cancel(task) {
    if (task.isOver) throw refusal(200, INVALID_PARAMS, `the task is over: ${task.status}`);
    task.cancel();
    return describe(task);
  }
}

function ask(cx, task, { method, params }) {
  const question = { method, params: { ...params, _meta: { [RELATED_TASK]: { taskId: task.id } } } };
  return cx.mcpReq.send(question).catch(() => ({ action: 'cancel' }));
}

function withSupport(tool) {
  if (!TOOLS[tool.name]) return tool;
  return { ...tool, execution: { taskSupport: TOOLS[tool.name].required ? 'required' : 'optional' } };
}

/** A task in the words of this version. */
function describe(task) {
  const { ttlMs: ttl, pollIntervalMs: pollInterval, ...rest } = describeTask(task);
  const status = task.outcome?.result?.isError ? 'failed' : rest.status;
  return { ...rest, status, ttl, pollInterval };
}
