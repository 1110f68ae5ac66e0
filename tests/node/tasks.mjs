// The extension io.modelcontextprotocol/tasks for the conformance server.
//
// The SDK has no server side for it, so requests that it covers are answered here before the SDK
// sees them: `tasks/*`, and calls of the tools below by a client that declares the extension. The
// tools are registered with the SDK as well, for the list and for clients without the extension.

import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { pause } from './serve.mjs';

export const TASKS = 'io.modelcontextprotocol/tasks';

const VERSION = '2026-07-28';
const META = 'io.modelcontextprotocol/';
const TTL_MS = 60000;
const POLL_INTERVAL_MS = 100;
const TASKS_MAX = 1000;
const HEADER_MISMATCH = -32020;
const MISSING_CAPABILITY = -32021;
export const INVALID_PARAMS = -32602;
const METHODS = new Set(['tasks/get', 'tasks/update', 'tasks/cancel']);

const text = (value) => ({ content: [{ type: 'text', text: value }] });
const form = (message, properties) => ({
  method: 'elicitation/create',
  params: { mode: 'form', message, requestedSchema: { type: 'object', properties, required: Object.keys(properties) } },
});
export const nameForm = form('What is your name?', { name: { type: 'string' } });

/**
 * What the tools do. `run` gets the arguments and the task; `required` tools cannot be called
 * without the extension; `whenAnswered` tools become a task only once the client has answered.
 */
export const TOOLS = {
  slow_compute: {
    inputSchema: z.object({ seconds: z.number().min(0).max(600).default(0), label: z.string().optional() }),
    run: async ({ seconds = 0, label = 'the sum' }, task) => {
      await pause(seconds * 1000, task?.signal);
      return text(`computed ${label} in ${seconds} s`);
    },
  },
  failing_job: {
    required: true,
    inputSchema: z.object({}),
    run: async (_arguments, task) => {
      await pause(1000, task?.signal);
      return { ...text('the job failed, as always'), isError: true };
    },
  },
  protocol_error_job: {
    inputSchema: z.object({}),
    run: async () => {
      throw new Error('the job broke down, as always');
    },
  },
  confirm_delete: {
    inputSchema: z.object({ filename: z.string().default('a file') }),
    run: async ({ filename = 'a file' }, task) => {
      const { confirm } = await asks(task, { confirm: form(`Delete ${filename}?`, { confirm: { type: 'boolean' } }) });
      return text(confirm?.content?.confirm ? `deleted ${filename}` : `kept ${filename}`);
    },
  },
  multi_input: {
    inputSchema: z.object({}),
    run: async (_arguments, task) => {
      const answers = await asks(task, {
        name: nameForm,
        confirm: form('Are you sure?', { confirm: { type: 'boolean' } }),
      });
      return text(JSON.stringify(answers));
    },
  },
  test_tool_with_task: {
    required: true,
    whenAnswered: 'user_name',
    inputSchema: z.object({}),
    run: async (_arguments, _task, { user_name }) => text(`Hello, ${user_name?.content?.name}!`),
  },
};

async function asks(task, questions) {
  if (!task) throw new Error('nobody can be asked without a task');
  return task.ask(questions);
}

/** Registers the tools; `ask(cx, key, question)` asks in the SDK's way. */
export function addTaskTools(server, ask) {
  server.registerTool(
    'greet',
    { description: 'Greets, never as a task', inputSchema: z.object({ name: z.string() }) },
    async ({ name }) => text(`Hello, ${name}!`),
  );
  for (const [name, { inputSchema, run, whenAnswered }] of Object.entries(TOOLS)) {
    server.registerTool(name, { description: `May become a task: ${name}`, inputSchema }, async (args, cx) =>
      whenAnswered ? ask(cx, whenAnswered, nameForm) : run(args));
  }
}

/** One call that goes on after its answer. */
export class Task {
  #abort = new AbortController();
  #answers = {};
  #awaited;
  #moved = Promise.withResolvers();
  #resume;

  constructor() {
    this.id = randomUUID();
    this.createdAt = this.lastUpdatedAt = new Date().toISOString();
    this.status = 'working';
    this.signal = this.#abort.signal;
  }

  start(run) {
    run(this).then(
      (result) => this.#settle('completed', { result }),
      (error) => this.#settle('failed', { error: { code: -32603, message: error.message } }),
    );
  }

  /** Waits until the client has answered every one of `questions`. */
  ask(questions) {
    const keys = Object.keys(questions).map((key) => [`${this.id}/${key}`, key]);
    this.inputRequests = Object.fromEntries(keys.map(([id, key]) => [id, questions[key]]));
    this.#move('input_required');
    return new Promise((resolve) => {
      this.#resume = () => resolve(Object.fromEntries(keys.map(([id, key]) => [key, this.#answers[id]])));
    });
  }

  update(inputResponses = {}) {
    for (const [id, answer] of Object.entries(inputResponses)) {
      if (!this.inputRequests?.[id]) continue;
      delete this.inputRequests[id];
      this.#answers[id] = answer;
    }
    if (this.status === 'input_required' && Object.keys(this.inputRequests).length === 0) {
      this.#move('working');
      this.#resume();
    }
  }

  /** Resolves when the status changes next. */
  moved() {
    return this.#moved.promise;
  }

  /** Resolves once the task has been reported `times` times while it was working. */
  asked(times) {
    if (times === 0) return undefined;
    return new Promise((resolve) => (this.#awaited = { times, resolve }));
  }

  /** What `tasks/get` says. */
  report() {
    const said = this.toJSON();
    if (said.status === 'working' && this.#awaited && --this.#awaited.times === 0) this.#awaited.resolve();
    return said;
  }

  cancel() {
    this.#settle('cancelled', {});
    this.#abort.abort();
  }

  get isOver() {
    return ['completed', 'failed', 'cancelled'].includes(this.status);
  }

  toJSON() {
    const { id: taskId, status, createdAt, lastUpdatedAt, outcome } = this;
    const asked = status === 'input_required' ? { inputRequests: this.inputRequests } : {};
    return { taskId, status, createdAt, lastUpdatedAt, ttlMs: TTL_MS, pollIntervalMs: POLL_INTERVAL_MS, ...asked, ...outcome };
  }

  #settle(status, outcome) {
    if (this.isOver) return;
    this.outcome = outcome;
    this.#move(status);
  }

  #move(status) {
    this.status = status;
    this.lastUpdatedAt = new Date().toISOString();
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }
}

/** What the answer of a call says of its task. */
export function describeTask(task) {
  const { taskId, status, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs } = task.toJSON();
  return { taskId, status, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs };
}

/** The tasks of one server. */
export class Tasks {
  #tasks = new Map();

  constructor(serverInfo) {
    this.serverInfo = serverInfo;
  }

  /** The HTTP status and the message for a request of the extension; `undefined` for all others. */
  answer(body, headers) {
    const { id, method, params } = body ?? {};
    const declared = params?._meta?.[`${META}clientCapabilities`]?.extensions?.[TASKS] !== undefined;
    if (params?._meta?.[`${META}protocolVersion`] !== VERSION || headers['mcp-protocol-version'] !== VERSION) return undefined;
    if (METHODS.has(method)) return this.#wrap(id, () => this.#manage(method, params, headers, declared));

    const tool = method === 'tools/call' ? TOOLS[params.name] : undefined;
    // Whether the headers fit is the SDK's to say, as for every other call.
    if (!tool || headers['mcp-method'] !== method || headers['mcp-name']?.trim() !== params.name) return undefined;
    if (!declared) return tool.required ? this.#wrap(id, refuseUndeclared) : undefined;
    if (tool.whenAnswered && !params.inputResponses?.[tool.whenAnswered]) return undefined;
    return this.#wrap(id, () => this.#create(tool, params));
  }

  #create(tool, params) {
    const task = new Task();
    if (this.#tasks.size >= TASKS_MAX) this.#tasks.delete(this.#tasks.keys().next().value);
    this.#tasks.set(task.id, task);
    task.start((self) => tool.run(params.arguments ?? {}, self, params.inputResponses ?? {}));
    return { resultType: 'task', ...describeTask(task) };
  }

  #manage(method, params, headers, declared) {
    if (headers['mcp-method'] !== method) throw refusal(400, HEADER_MISMATCH, 'Mcp-Method is not the method of the body');
    if (headers['mcp-name']?.trim() !== params.taskId) throw refusal(400, HEADER_MISMATCH, 'Mcp-Name is not the task id of the body');
    if (!declared) refuseUndeclared();
    const task = this.#tasks.get(params.taskId);
    if (!task) throw refusal(200, INVALID_PARAMS, 'there is no such task');
    if (method === 'tasks/get') return { resultType: 'complete', ...task.toJSON() };
    if (method === 'tasks/update') task.update(params.inputResponses);
    else task.cancel();
    return { resultType: 'complete' };
  }

  #wrap(id, produce) {
    try {
      const result = { ...produce(), _meta: { [`${META}serverInfo`]: this.serverInfo } };
      return { status: 200, message: { jsonrpc: '2.0', id, result } };
    } catch (error) {
      const { status = 500, code = -32603, message, data } = error;
      return { status, message: { jsonrpc: '2.0', id, error: { code, message, ...(data && { data }) } } };
    }
  }
}

function refuseUndeclared() {
  throw refusal(400, MISSING_CAPABILITY, 'the client does not declare the tasks extension', {
    requiredCapabilities: { extensions: { [TASKS]: {} } },
  });
}

/** An error of JSON-RPC with the HTTP status that goes with it. */
export function refusal(status, code, message, data) {
  return Object.assign(new Error(message), { status, code, data });
}
