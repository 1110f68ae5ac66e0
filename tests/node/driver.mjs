// Runs scripts of protocol steps with the client of an SDK and prints what came of them.
//
//   node client-vN.mjs URL SCRIPT [flags]
//   node client-vN.mjs --stdio SCRIPT [flags] -- COMMAND ARGUMENT…
//   node client-vN.mjs --serve
//
// SCRIPT is a file, `-` for standard input, or the JSON itself. tests/README.md describes steps,
// options and output. A script always ends by itself: at the latest after `deadline_ms`.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';

const POLL_MS = 25;
const CLOSE_MS_MAX = 2000;
const PAGES_MAX = 1000;
const DEFAULTS = { deadline_ms: 30000, timeout_ms: 10000, era: 'auto', transport: 'http', headers: {}, env: {}, answers: {} };
const URL_REQUIRED = -32042;
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
const LISTS = {
  'tools/list': 'tools',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
  'prompts/list': 'prompts',
};

/** Steps that are one request: how many of their members are parameters of it is all that differs. */
const OWN_MEMBERS = new Set([
  'op', 'progress', 'timeout_ms', 'ms', 'steps', 'notification', 'match', 'includes', 'log_level', 'pages', 'retry_url_required', 'task',
]);

/**
 * Reads the command line, runs what it says and prints the report.
 *
 * `connect(target, options, events)` resolves to what a session needs of a client: `identity()`,
 * `isModern`, `request(method, params, options)`, `page(method, params, options)` for one page of a
 * list, `raw(method, params, timeout)` without the SDK between, `callTask(params, task, options)`,
 * `streamIsOpen()` for the session's own stream, `terminate()` and `close()`.
 */
export async function drive(connect) {
  const words = process.argv.slice(2);
  if (words.includes('--serve')) return serve(connect);
  const report = await runScript(connect, readCommandLine(words));
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(report.deadline ? 3 : 0));
}

/** Runs each line of the input as a job, all at once, and prints a line for each. */
async function serve(connect) {
  // What goes wrong in one job's background is no reason to end the others.
  process.on('unhandledRejection', (error) => console.error(error));
  const running = new Set();
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue;
    const job = runJob(connect, line).then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
    running.add(job);
    job.finally(() => running.delete(job));
  }
  await Promise.all(running);
  process.stdout.write('', () => process.exit(0));
}

async function runJob(connect, line) {
  let id = null;
  try {
    const job = JSON.parse(line);
    id = job.id ?? null;
    const target = job.command ?? job.url;
    if (target === undefined || job.script === undefined) throw new Error('a job has a url or a command, and a script');
    const { options = {}, steps } = Array.isArray(job.script) ? { steps: job.script } : job.script;
    const transport = job.command ? 'stdio' : (options.transport ?? DEFAULTS.transport);
    return { id, ...(await runScript(connect, { target, steps, options: { ...DEFAULTS, ...options, transport } })) };
  } catch (error) {
    return { id, error: describe(error) };
  }
}

async function runScript(connect, { target, options, steps }) {
  const report = { steps: [], notifications: [], requests: [] };
  const session = new Session(connect, target, options, report);
  let timer;
  const deadline = new Promise((resolve) => {
    timer = setTimeout(() => {
      report.deadline = true;
      resolve();
    }, options.deadline_ms);
  });
  const running = (async () => {
    for (const step of steps) {
      const entry = await session.run(step);
      if (report.deadline) return;
      report.steps.push(entry);
    }
  })();
  await Promise.race([running, deadline]);
  clearTimeout(timer);
  await Promise.race([session.close(), pause(CLOSE_MS_MAX)]);
  return report;
}

class Session {
  #client;
  #connecting;
  #level;
  #returned = new Set();

  constructor(connect, target, options, report) {
    Object.assign(this, { connect, target, options, report });
  }

  /** Runs one step and returns its entry of the report; a failure is an entry too. */
  async run(step) {
    const entry = { op: step.op };
    try {
      entry.result = await this.#perform(step, entry);
    } catch (error) {
      entry.error = describe(error);
    }
    return entry;
  }

  async close() {
    const client = this.#client ?? (await this.#connecting?.catch(() => {}));
    this.#client = this.#connecting = undefined;
    await client?.close().catch(() => {});
  }

  async #perform(step, entry) {
    const client = await this.#connected();
    const timeout = step.timeout_ms ?? this.options.timeout_ms;
    switch (step.op) {
      case 'initialize':
        return client.identity();
      case 'wait':
        return this.#wait(step, timeout);
      case 'until':
        return this.#until(client, step, timeout);
      case 'parallel':
        return Promise.all(step.steps.map((each) => this.run(each)));
      case 'cancel-after': {
        const abort = new AbortController();
        setTimeout(() => abort.abort('cancelled by the script'), step.ms);
        return client.request('tools/call', parametersOf(step), { timeout, signal: abort.signal });
      }
      case 'close':
        await this.close();
        return {};
      case 'terminate':
        return client.terminate();
      case 'request':
        return client.raw(step.method, step.params ?? {}, timeout);
      default:
        return this.#request(client, step, entry, timeout);
    }
  }

  /** One request, with what its step asks for beyond that. */
  async #request(client, step, entry, timeout) {
    const params = await this.#leveled(client, step, timeout);
    const request = { timeout };
    if (step.progress) {
      entry.progress = [];
      request.onprogress = (progress) => entry.progress.push(progress);
    }
    if (step.pages) return readPages(client, step.op, params, request, entry);
    const task = step.task === true ? {} : step.task;
    const send = () => (task ? client.callTask(params, task, { ...request, entry }) : client.request(step.op, params, request));
    if (!step.retry_url_required) return send();
    await client.streamIsOpen();
    try {
      return await send();
    } catch (error) {
      if (error.code !== URL_REQUIRED) throw error;
      entry.url_required = error.data?.elicitations ?? [];
      for (const { elicitationId } of entry.url_required) {
        await this.#wait({ notification: 'notifications/elicitation/complete', match: { elicitationId } }, timeout);
      }
      return send();
    }
  }

  /** The parameters with the level of the request; in a session the level is the session's. */
  async #leveled(client, step, timeout) {
    const params = parametersOf(step);
    const level = step.op === 'logging/setLevel' ? step.level : step.log_level;
    if (level === undefined) return params;
    if (client.isModern) return { ...params, _meta: { ...params._meta, [LOG_LEVEL]: level } };
    if (step.log_level && level !== this.#level) await client.request('logging/setLevel', { level }, { timeout });
    this.#level = level;
    return params;
  }

  async #connected() {
    if (this.report.deadline) throw new Error('the deadline of the script is over');
    this.#connecting ??= this.connect(this.target, this.options, {
      notified: (notification) => this.report.notifications.push(notification),
      asked: (method, params) => this.#answer(method, params),
    });
    try {
      this.#client = await this.#connecting;
    } catch (error) {
      this.#connecting = undefined;
      throw error;
    }
    return this.#client;
  }

  /** Takes the next answer of the script for `method`; the last one is used again. */
  #answer(method, params) {
    this.report.requests.push({ method, params });
    const own = `${method}:${params?.mode}`;
    const answers = this.options.answers[own] ?? this.options.answers[method];
    if (answers === undefined) throw Object.assign(new Error(`the script has no answer to ${method}`), { code: -1 });
    if (!Array.isArray(answers)) return answers;
    return answers.length > 1 ? answers.shift() : answers[0];
  }

  /** Waits for a notification that no `wait` before has returned. */
  async #wait({ notification, match }, timeout) {
    const found = await poll(timeout, () =>
      this.report.notifications.find(
        (each) => !this.#returned.has(each) && each.method === notification && includes(each.params ?? {}, match ?? {}),
      ));
    this.#returned.add(found);
    return found ?? fail(`no ${notification} within ${timeout} ms`);
  }

  /** Calls a tool until its structured content has what the step wants. */
  async #until(client, step, timeout) {
    let last;
    const found = await poll(timeout, async () => {
      last = await client.request('tools/call', parametersOf(step), { timeout });
      return includes(last.structuredContent ?? {}, step.includes) ? last : undefined;
    });
    return found ?? fail(`not within ${timeout} ms; last: ${JSON.stringify(last?.structuredContent)}`);
  }
}

/** Reads a list page by page; the entry says how many items each page had. */
async function readPages(client, method, params, request, entry) {
  const member = LISTS[method] ?? fail(`${method} has no pages`);
  entry.pages = [];
  const items = [];
  let cursor = params.cursor;
  do {
    const page = await client.page(method, cursor === undefined ? params : { ...params, cursor }, request);
    items.push(...page[member]);
    entry.pages.push(page[member].length);
    cursor = page.nextCursor;
  } while (cursor !== undefined && entry.pages.length < PAGES_MAX);
  return { [member]: items };
}

async function poll(timeout, attempt) {
  const end = performance.now() + timeout;
  do {
    const found = await attempt();
    if (found !== undefined) return found;
    await pause(POLL_MS);
  } while (performance.now() < end);
  return undefined;
}

/** Whether `value` has every member of `part` with the same value. */
function includes(value, part) {
  return Object.entries(part).every(([key, wanted]) => isDeepStrictEqual(value[key], wanted));
}

function parametersOf(step) {
  return Object.fromEntries(Object.entries(step).filter(([key]) => !OWN_MEMBERS.has(key)));
}

function fail(message) {
  throw new Error(message);
}

/** `{ code, message, data }` of any error of either SDK; `status` if HTTP refused the request. */
function describe(error) {
  const described = {
    code: error.code ?? null,
    message: String(error.message ?? error).replace(/^MCP error -?\d+: /, ''),
  };
  const status = error.status ?? error.data?.status ?? (error.name === 'StreamableHTTPError' ? error.code : undefined);
  if (status !== undefined) described.status = status;
  if (error.data !== undefined) described.data = error.data;
  const cause = error.cause?.message ?? error.cause?.code;
  if (cause !== undefined) described.cause = String(cause);
  return described;
}

/**
 * A `fetch` that tells when a session's own stream is there: `opened` resolves with the status of
 * the first GET. What the server sends unasked before that, the client may not see.
 */
export function watchStream() {
  let report;
  const opened = new Promise((resolve) => (report = resolve));
  return {
    opened,
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      if (init?.method === 'GET') report(response.status);
      return response;
    },
  };
}

/**
 * Listens in on a transport: `sending` may change each message that goes out, `received` each that
 * comes in. `raw` sends a request of its own and resolves to the result as it came.
 */
export function tap(transport, { sending = () => {}, received = () => {} } = {}) {
  const waiting = new Map();
  let ids = 0;
  let deliver;
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    sending(message);
    return send(message, options);
  };
  Object.defineProperty(transport, 'onmessage', {
    configurable: true,
    get: () => deliver,
    set: (handler) => {
      deliver = handler && ((message, extra) => {
        const settle = waiting.get(message.id);
        if (settle && message.method === undefined) return settle(message);
        received(message);
        return handler(message, extra);
      });
    },
  });

  const raw = (message, timeout) => {
    const id = `raw-${++ids}`;
    let timer;
    return new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('timed out')), timeout);
      waiting.set(id, ({ result, error }) =>
        error ? reject(Object.assign(new Error(error.message), { code: error.code, data: error.data })) : resolve(result));
      send({ jsonrpc: '2.0', id, ...message }).catch(reject);
    }).finally(() => {
      clearTimeout(timer);
      waiting.delete(id);
    });
  };
  return { raw };
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// === The command line ===

function readCommandLine(words) {
  const flags = {};
  const headers = {};
  const rest = [];
  let command;
  while (words.length > 0) {
    const word = words.shift();
    if (word === '--') {
      command = words.splice(0);
    } else if (word === '--header') {
      const [name, ...value] = words.shift().split(':');
      headers[name.trim()] = value.join(':').trim();
    } else if (word.startsWith('--') ) {
      const [name, value] = word.slice(2).split('=');
      if (name === 'stdio' || name === 'sse') flags.transport = name;
      else flags[name.replaceAll('-', '_')] = /^\d+$/.test(value) ? Number(value) : value;
    } else {
      rest.push(word);
    }
  }
  const target = flags.transport === 'stdio' ? command : rest.shift();
  const script = rest.shift();
  if (!target || !script) {
    console.error('usage: URL SCRIPT [--era=auto|modern|legacy] [--version=V] [--sse] [--header "Name: value"], --stdio SCRIPT -- COMMAND …, or --serve');
    process.exit(2);
  }
  const parsed = JSON.parse(/^\s*[[{]/.test(script) ? script : readFileSync(script === '-' ? 0 : script, 'utf8'));
  const { options = {}, steps } = Array.isArray(parsed) ? { steps: parsed } : parsed;
  return {
    options: { ...DEFAULTS, ...options, ...flags, headers: { ...options.headers, ...headers } },
    steps,
    target,
  };
}

/** The capabilities to declare: what the script says, otherwise what it has answers for. */
export function capabilitiesFor({ capabilities, answers, version = '2025-11-25' }) {
  if (capabilities) return capabilities;
  const declared = {};
  const asksForms = answers['elicitation/create'] || answers['elicitation/create:form'];
  const asksUrls = answers['elicitation/create'] || answers['elicitation/create:url'];
  if (asksForms && version >= '2025-06-18') declared.elicitation = version >= '2025-11-25' ? { form: {} } : {};
  if (asksUrls && version >= '2025-11-25') declared.elicitation = { ...declared.elicitation, url: {} };
  if (answers['sampling/createMessage']) declared.sampling = {};
  if (answers['roots/list']) declared.roots = { listChanged: true };
  return declared;
}
