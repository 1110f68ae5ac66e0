// The same raw exchanges with a server directly and through the gateway, and what differs.
//
//   node record.mjs PLAN        PLAN is a file, `-` for standard input, or the JSON itself
//
//   { "direct":  "http://…/mcp" | { "sse": "http://…/sse" } | { "command": ["npx", …] },
//     "gateway": "http://…/servers/NAME/mcp",
//     "era": "modern" | "legacy", "version": "2025-11-25",
//     "calls": [{ "name": …, "arguments": … }], "reads": [URI…], "prompts": [{ "name": …, "arguments": … }],
//     "completions": [{ "ref": …, "argument": … }],
//     "skip": [NAME…], "answers": { METHOD: RESULT }, "capabilities": { … } }
//
// No SDK is between the recorder and the wire. Beyond what the plan names it initializes or
// discovers, reads every list to its end, calls every tool and gets every prompt that needs no
// argument, and reads every listed resource. It prints
//
//   { "direct": [EXCHANGE…], "gateway": [EXCHANGE…], "differences": [{ "exchange", "direct", "gateway" }…] }
//
// where an exchange has a name and the messages that came, as they came. `differences` compares
// them after EDITS, the whole list of what a gateway may change.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const EXCHANGE_MS_MAX = 15000;
const PAGES_MAX = 100;
const READS_MAX = 50;
const MODERN = '2026-07-28';
const META = 'io.modelcontextprotocol/';

/**
 * What may differ and how it is made equal; `docs/protocol-edits.md` has the reasons. Each edit works
 * on one parsed message.
 */
const EDITS = [
  {
    what: 'ids of requests that the server makes',
    apply: (message) => message.method && 'id' in message && (message.id = '(id)'),
  },
  {
    what: 'cursors',
    apply: ({ result }) => result?.nextCursor !== undefined && (result.nextCursor = '(cursor)'),
  },
  {
    what: 'request state',
    apply: ({ result }) => result?.requestState !== undefined && (result.requestState = '(state)'),
  },
  {
    what: 'task ids',
    apply: ({ result }) => {
      for (const task of [result, result?.task]) if (task?.taskId !== undefined) task.taskId = '(task)';
    },
  },
  {
    what: 'supported versions',
    apply: ({ result }) => Array.isArray(result?.supportedVersions) && (result.supportedVersions = result.supportedVersions.includes(MODERN)),
  },
];

/** Notifications on the way of a call; all others take other ways and come at other times. */
const OF_A_CALL = new Set(['notifications/progress']);

// === Peers: one way to reach a server each ===

/** A connection on which everything arrives on one channel. */
class Channel {
  #waiting = new Map();
  #messages = [];

  /** Sends a request and returns the raw messages that came until its response. */
  exchange(message, { answer }) {
    this.#messages = [];
    this.answer = answer;
    const response = new Promise((resolve) => this.#waiting.set(message.id, resolve));
    this.send(message);
    return response;
  }

  received(raw) {
    const message = JSON.parse(raw);
    this.#messages.push(raw);
    if (message.method && 'id' in message) this.send(this.answer(message));
    if (!message.method) {
      this.#waiting.get(message.id)?.(this.#messages);
      this.#waiting.delete(message.id);
    }
  }

  notify(message) {
    this.send(message);
  }
}

class Stdio extends Channel {
  static async open([command, ...args]) {
    const peer = new Stdio();
    peer.process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    let buffered = '';
    peer.process.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (buffered + text).split('\n');
      buffered = lines.pop();
      for (const line of lines) if (line.trim()) peer.received(line);
    });
    return peer;
  }

  send(message) {
    this.process.stdin.write(`${JSON.stringify(message)}\n`);
  }

  close() {
    this.process.stdin.end();
    this.process.kill();
  }
}

/** HTTP+SSE of 2024-11-05. */
class Sse extends Channel {
  static async open(url) {
    const peer = new Sse();
    peer.abort = new AbortController();
    const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: peer.abort.signal });
    await new Promise((resolve, reject) => {
      peer.reading = (async () => {
        for await (const { event, data } of eventsOf(response.body)) {
          if (event !== 'endpoint') peer.received(data);
          else resolve((peer.endpoint = new URL(data, url)));
        }
      })().catch(reject);
    });
    return peer;
  }

  send(message) {
    fetch(this.endpoint, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(message) }).catch(console.error);
  }

  close() {
    this.abort.abort();
    return this.reading.catch(() => {});
  }
}

/** Streamable HTTP of either era. */
class Http {
  constructor(url, era) {
    Object.assign(this, { url, era });
  }

  async exchange(message, { answer, headers = {} }) {
    const response = await this.#post(message, headers);
    this.session ??= response.headers.get('mcp-session-id') ?? undefined;
    if (!response.headers.get('content-type')?.includes('text/event-stream')) return [await response.text()];
    const messages = [];
    for await (const { data } of eventsOf(response.body)) {
      if (data === '') continue;
      messages.push(data);
      const received = JSON.parse(data);
      if (!received.method) break;
      if ('id' in received) await this.notify(answer(received));
    }
    return messages;
  }

  async notify(message) {
    const response = await this.#post(message, {});
    await response.body?.cancel();
  }

  #post(message, headers) {
    const own = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    if (this.session) own['mcp-session-id'] = this.session;
    if (this.version) own['mcp-protocol-version'] = this.version;
    return fetch(this.url, {
      method: 'POST',
      headers: { ...own, ...headers },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(EXCHANGE_MS_MAX),
    });
  }

  async close() {
    if (!this.session) return;
    const headers = { 'mcp-session-id': this.session, 'mcp-protocol-version': this.version };
    await fetch(this.url, { method: 'DELETE', headers }).catch(() => {});
  }
}

async function* eventsOf(body) {
  let buffered = '';
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (buffered + text).replaceAll('\r\n', '\n').split('\n\n');
    buffered = blocks.pop();
    for (const block of blocks) {
      const event = { event: 'message', data: [] };
      for (const line of block.split('\n')) {
        const [, field, value] = line.match(/^(event|data):? ?(.*)$/) ?? [];
        if (field === 'event') event.event = value;
        if (field === 'data') event.data.push(value);
      }
      if (event.data.length > 0) yield { event: event.event, data: event.data.join('\n') };
    }
  }
}

async function open(peer, era) {
  if (peer.command) return Stdio.open(peer.command);
  if (peer.sse) return Sse.open(peer.sse);
  return new Http(peer, era);
}

// === The recording ===

class Recording {
  #ids = 0;
  exchanges = [];
  headersOf = {};

  constructor(peer, plan) {
    Object.assign(this, { peer, plan });
  }

  /** One request with its whole answer, recorded under `name`; returns the parsed response. */
  async request(name, method, params = {}) {
    const message = { jsonrpc: '2.0', id: ++this.#ids, method, params: this.#withMeta(params) };
    const context = { answer: (question) => this.#answer(question), headers: this.#headers(method, params) };
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, EXCHANGE_MS_MAX, ['{"timeout":true}'])));
    const messages = await Promise.race([this.peer.exchange(message, context), late]);
    clearTimeout(timer);
    this.exchanges.push({ name, messages });
    return JSON.parse(messages.at(-1) || '{}');
  }

  /** A request that may be answered with questions: they are answered and it is sent again. */
  async ask(name, method, params) {
    let response = await this.request(name, method, params);
    for (let round = 2; response.result?.resultType === 'input_required' && round < 10; round++) {
      const { inputRequests = {}, requestState } = response.result;
      const inputResponses = Object.fromEntries(
        Object.entries(inputRequests).map(([key, question]) => [key, this.#answer(question).result ?? { action: 'cancel' }]),
      );
      const again = { ...params, inputResponses, ...(requestState === undefined ? {} : { requestState }) };
      response = await this.request(`${name}, round ${round}`, method, again);
    }
    return response;
  }

  notify(method) {
    return this.peer.notify({ jsonrpc: '2.0', method });
  }

  #withMeta(params) {
    if (this.plan.era === 'legacy') return params;
    const own = {
      [`${META}protocolVersion`]: MODERN,
      [`${META}clientInfo`]: { name: 'recorder', version: '1.0.0' },
      [`${META}clientCapabilities`]: this.plan.capabilities,
    };
    return { ...params, _meta: { ...params._meta, ...own } };
  }

  #headers(method, params) {
    if (this.plan.era === 'legacy') return {};
    const headers = { 'mcp-protocol-version': MODERN, 'mcp-method': method };
    const name = method === 'resources/read' ? params.uri : ['tools/call', 'prompts/get'].includes(method) ? params.name : undefined;
    if (name !== undefined) headers['mcp-name'] = encodeHeader(name);
    if (method === 'tools/call') {
      for (const [argument, header] of Object.entries(this.headersOf[params.name] ?? {})) {
        const value = params.arguments?.[argument];
        if (value !== undefined && value !== null) headers[`mcp-param-${header}`] = encodeHeader(String(value));
      }
    }
    return headers;
  }

  #answer({ id, method }) {
    const result = this.plan.answers[method];
    return result
      ? { jsonrpc: '2.0', id, result }
      : { jsonrpc: '2.0', id, error: { code: -32601, message: `the plan has no answer to ${method}` } };
  }
}

function encodeHeader(value) {
  const plain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?.*\?=$/.test(value);
  return plain || value === '' ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

async function record(target, plan) {
  const peer = await open(target, plan.era);
  const recording = new Recording(peer, plan);
  try {
    const capabilities = await greet(recording, peer, plan);
    await recordTools(recording, plan, capabilities);
    await recordResources(recording, plan, capabilities);
    await recordPrompts(recording, plan, capabilities);
    for (const [at, each] of plan.completions.entries()) await recording.request(`completion ${at + 1}`, 'completion/complete', each);
    if (plan.era === 'legacy') await recording.request('ping', 'ping');
  } finally {
    await peer.close();
  }
  return recording.exchanges;
}

async function greet(recording, peer, plan) {
  if (plan.era === 'modern') return (await recording.request('discover', 'server/discover')).result?.capabilities ?? {};
  const { result } = await recording.request('initialize', 'initialize', {
    protocolVersion: plan.version,
    capabilities: plan.capabilities,
    clientInfo: { name: 'recorder', version: '1.0.0' },
  });
  peer.version = result?.protocolVersion;
  await recording.notify('notifications/initialized');
  return result?.capabilities ?? {};
}

async function recordTools(recording, plan, capabilities) {
  const tools = capabilities.tools ? await list(recording, 'tools/list', 'tools') : [];
  for (const { name, inputSchema } of tools) {
    const mirrored = Object.entries(inputSchema?.properties ?? {}).filter(([, schema]) => schema?.['x-mcp-header']);
    recording.headersOf[name] = Object.fromEntries(mirrored.map(([argument, schema]) => [argument, schema['x-mcp-header']]));
  }
  const planned = new Set(plan.calls.map((call) => call.name));
  const unplanned = tools
    .filter(({ name, inputSchema }) => !planned.has(name) && !plan.skip.includes(name) && !(inputSchema?.required?.length > 0))
    .map(({ name }) => ({ name, arguments: {} }));
  for (const [at, call] of [...plan.calls, ...unplanned].entries()) {
    await recording.ask(`call ${call.name}`, 'tools/call', { ...call, _meta: { progressToken: `call-${at}` } });
  }
}

async function recordResources(recording, plan, capabilities) {
  if (!capabilities.resources) return;
  const listed = await list(recording, 'resources/list', 'resources');
  await list(recording, 'resources/templates/list', 'resourceTemplates');
  const uris = new Set([...plan.reads, ...listed.map(({ uri }) => uri).filter((uri) => !plan.skip.includes(uri))]);
  for (const uri of [...uris].slice(0, READS_MAX)) await recording.ask(`read ${uri}`, 'resources/read', { uri });
}

async function recordPrompts(recording, plan, capabilities) {
  const prompts = capabilities.prompts ? await list(recording, 'prompts/list', 'prompts') : [];
  const planned = new Set(plan.prompts.map((prompt) => prompt.name));
  const unplanned = prompts.filter(
    ({ name, arguments: args }) => !planned.has(name) && !plan.skip.includes(name) && !args?.some((argument) => argument.required),
  );
  for (const prompt of [...plan.prompts, ...unplanned.map(({ name }) => ({ name }))]) {
    await recording.ask(`prompt ${prompt.name}`, 'prompts/get', prompt);
  }
}

/** Every page of a list. */
async function list(recording, method, member) {
  const items = [];
  let cursor;
  for (let page = 1; page <= PAGES_MAX; page++) {
    const { result } = await recording.request(`${method}, page ${page}`, method, cursor === undefined ? {} : { cursor });
    items.push(...(result?.[member] ?? []));
    cursor = result?.nextCursor;
    if (cursor === undefined) break;
  }
  return items;
}

// === The comparison ===

/** The messages of an exchange after the edits, as text in which order and numbers are as sent. */
function edited({ messages }) {
  return messages
    .map((raw) => {
      // Numbers stay the text that they are on the wire.
      const message = JSON.parse(raw || 'null', (_key, value, { source }) => (typeof value === 'number' ? JSON.rawJSON(source) : value));
      return message;
    })
    .filter((message) => !message?.method || 'id' in message || OF_A_CALL.has(message.method))
    .map((message) => {
      for (const { apply } of EDITS) if (message) apply(message);
      // The envelope is written anew on each hop: the order of its own members means nothing.
      const { jsonrpc, id, method, ...rest } = message ?? {};
      return JSON.stringify({ jsonrpc, id, method, ...rest });
    });
}

function compare(direct, gateway) {
  const names = [...new Set([...direct, ...gateway].map(({ name }) => name))];
  const of = (exchanges, name) => {
    const found = exchanges.find((exchange) => exchange.name === name);
    return found ? edited(found) : null;
  };
  return names
    .map((name) => ({ exchange: name, direct: of(direct, name), gateway: of(gateway, name) }))
    .filter((pair) => JSON.stringify(pair.direct) !== JSON.stringify(pair.gateway));
}

// === Start ===

const source = process.argv[2];
if (!source) {
  console.error('usage: record.mjs PLAN');
  process.exit(2);
}
const plan = {
  era: 'legacy', version: '2025-11-25', calls: [], reads: [], prompts: [], completions: [], skip: [], answers: {},
  ...JSON.parse(/^\s*\{/.test(source) ? source : readFileSync(source === '-' ? 0 : source, 'utf8')),
};
plan.capabilities ??= Object.assign(
  {},
  plan.answers['elicitation/create'] && { elicitation: { form: {}, url: {} } },
  plan.answers['sampling/createMessage'] && { sampling: {} },
  plan.answers['roots/list'] && { roots: {} },
);
const direct = await record(plan.direct, plan);
const gateway = await record(plan.gateway, plan);
process.stdout.write(`${JSON.stringify({ direct, gateway, differences: compare(direct, gateway) })}\n`, () => process.exit(0));
