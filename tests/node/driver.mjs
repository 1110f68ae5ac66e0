// Runs a script of protocol steps with the client of an SDK and prints what came of it.
//
//   node client-vN.mjs URL SCRIPT [flags]
//   node client-vN.mjs --stdio SCRIPT [flags] -- COMMAND ARGUMENT…
//
// SCRIPT is a file, `-` for standard input, or the JSON itself. tests/README.md describes steps,
// options and output. The process always ends by itself: at the latest after `deadline_ms`.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

const POLL_MS = 25;
const DEFAULTS = { deadline_ms: 30000, timeout_ms: 10000, era: 'auto', transport: 'http', headers: {}, answers: {} };

/** Steps that are one request: how many of their members are parameters of it is all that differs. */
const OWN_MEMBERS = new Set(['op', 'progress', 'timeout_ms', 'ms', 'steps', 'notification', 'match', 'includes']);

/** Reads the command line, runs the script with `connect` and prints the report. */
export async function drive(connect) {
  const { options, steps, target } = readCommandLine(process.argv.slice(2));
  const report = { steps: [], notifications: [], requests: [] };
  const finish = (code) => process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(code));

  const deadline = setTimeout(() => {
    report.deadline = true;
    finish(3);
  }, options.deadline_ms);

  const session = new Session(connect, target, options, report);
  for (const step of steps) report.steps.push(await session.run(step));
  await session.close();
  clearTimeout(deadline);
  finish(0);
}

class Session {
  #client;
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
    await this.#client?.close().catch(() => {});
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
        this.#client = undefined;
        return {};
      case 'terminate':
        return client.terminate();
      default: {
        const request = { timeout };
        if (step.progress) {
          entry.progress = [];
          request.onprogress = (progress) => entry.progress.push(progress);
        }
        return client.request(step.op, parametersOf(step), request);
      }
    }
  }

  async #connected() {
    this.#client ??= await this.connect(this.target, this.options, {
      notified: (notification) => this.report.notifications.push(notification),
      asked: (method, params) => this.#answer(method, params),
    });
    return this.#client;
  }

  /** Takes the next answer of the script for `method`; the last one is used again. */
  #answer(method, params) {
    this.report.requests.push({ method, params });
    const answers = this.options.answers[method];
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

async function poll(timeout, attempt) {
  const end = performance.now() + timeout;
  do {
    const found = await attempt();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
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
    console.error('usage: URL SCRIPT [--era=auto|modern|legacy] [--sse] [--header "Name: value"], or --stdio SCRIPT -- COMMAND …');
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
export function capabilitiesFor({ capabilities, answers }) {
  if (capabilities) return capabilities;
  const declared = {};
  if (answers['elicitation/create']) declared.elicitation = { form: {}, url: {} };
  if (answers['sampling/createMessage']) declared.sampling = {};
  if (answers['roots/list']) declared.roots = { listChanged: true };
  return declared;
}
