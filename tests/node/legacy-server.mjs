// A server up to 2025-11-25: Streamable HTTP with sessions on `/mcp`, HTTP+SSE of 2024-11-05 on
// `/sse`, or stdio with `--stdio`.
//
// With `--version V` it speaks that version alone, and offers what that version has.

import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks';
import {
  CreateMessageResultSchema, ElicitResultSchema, InitializeRequestSchema, LATEST_PROTOCOL_VERSION, ListRootsResultSchema,
  SUPPORTED_PROTOCOL_VERSIONS, SubscribeRequestSchema, UnsubscribeRequestSchema, UrlElicitationRequiredError,
  isInitializeRequest,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { commit, request } from './counters.mjs';
import { LongTasks } from './long-tasks.mjs';
import { Sessions, endWithParent, flag, listen, readJson, refuse } from './serve.mjs';
import { CAPABILITIES, INSTRUCTIONS, addGrown, addTool, addToolset, keyed, kindsOf, questionsOf, says } from './toolset.mjs';

/** How long after a refusal the user is said to have visited the URL. */
const VISIT_MS = 100;

const pinned = flag('--version');
const version = pinned ?? LATEST_PROTOCOL_VERSION;
if (!SUPPORTED_PROTOCOL_VERSIONS.includes(version)) {
  console.error(`--version must be one of ${SUPPORTED_PROTOCOL_VERSIONS.join(', ')}`);
  process.exit(2);
}
// The transports refuse every version that is not in this list.
if (pinned) SUPPORTED_PROTOCOL_VERSIONS.splice(0, Infinity, pinned);

/** Every connected server with the resources that its client has subscribed to. */
const connected = new Map();
const store = new InMemoryTaskStore();
const queue = new InMemoryTaskMessageQueue();
const longTasks = new LongTasks(store);

const RESULTS = {
  'elicitation/create': ElicitResultSchema,
  'sampling/createMessage': CreateMessageResultSchema,
  'roots/list': ListRootsResultSchema,
};

function sdkFor(server) {
  return {
    version,
    ResourceTemplate,
    completable,
    promptArguments: (shape) => shape,
    ask: async (cx, questions, { key, inTurn }) => ({ answers: await askAll(server, cx, questions, { key, inTurn }) }),
    longTask: addLongTask,
    notify: (cx, notification) => cx.sendNotification(notification),
    log: (cx, level, data) => server.sendLoggingMessage({ level, data }, cx.sessionId),
    call: (cx) => ({ token: cx._meta?.progressToken, signal: cx.signal, headers: cx.requestInfo?.headers ?? {} }),
    changed,
  };
}

// === Questions ===

/** Asks on the stream of the call, or through the task of `options.relatedTask`. */
async function askAll(server, cx, questions, { key: visit, inTurn = false, ...options } = {}) {
  const entries = Object.entries(questions);
  for (const [, question] of entries) assertCanBeAsked(server.server, question);
  const ask = async ([key, question]) => [key, await askOne(cx, question, visit, options)];
  if (!inTurn) return Object.fromEntries(await Promise.all(entries.map(ask)));
  const answers = {};
  for (const each of entries) answers[each[0]] = (await ask(each))[1];
  return answers;
}

async function askOne(cx, { method, params }, visit, options) {
  const question = { method, params: inVersion(params, visit) };
  const answer = await cx.sendRequest(question, RESULTS[method], options);
  const { elicitationId } = question.params ?? {};
  if (elicitationId && answer.action === 'accept') {
    await cx.sendNotification({ method: 'notifications/elicitation/complete', params: { elicitationId } });
  }
  return answer;
}

/** Nobody is asked for what the client has not offered; the SDK checks that in some of its ways to ask. */
function assertCanBeAsked(server, { method, params }) {
  server.assertCapabilityForMethod(method);
  const modes = server.getClientCapabilities().elicitation;
  const isOffered = params?.mode === 'url' ? modes?.url : modes?.form || !modes?.url;
  if (params?.mode && !isOffered) throw new Error(`Client does not support ${params.mode} elicitation.`);
}

/** Modes came with 2025-11-25, and there a URL has an id as well. */
function inVersion(params, visit = 'visit') {
  if (params?.mode === 'url') return { ...params, elicitationId: visit };
  if (params?.mode !== 'form' || version >= '2025-11-25') return params;
  const { mode, ...rest } = params;
  return rest;
}

/** A question that belongs to no call: it goes out on the session's own stream. */
function addDetachedQuestion(server) {
  const { params } = questionsOf(['form']).form;
  addTool(server, 'ask_later', { description: 'Answers at once and then asks', input: { question: z.string() } }, async ({ question, key }) => {
    server.server.elicitInput(inVersion({ ...params, message: question })).then(
      ({ action }) => commit(`ask_later:${action}`, key),
      () => commit('ask_later:failed', key),
    );
    return says('the question comes');
  });
}

const visited = new Set();

/** The error that names URLs, the first time for each key; whether the client can show them is not asked. */
function addUrlFirst(server) {
  const input = { url: z.string().default('https://example.com/connect') };
  addTool(server, 'ask_url_first', { description: 'Wants a URL to be visited before it is called', input }, async ({ url, key }) => {
    if (visited.has(key)) {
      commit('ask_url_first', key);
      return says('connected');
    }
    visited.add(key);
    const elicitationId = key ?? 'first';
    if (server.server.getClientCapabilities()?.elicitation?.url) {
      const complete = server.server.createElicitationCompletionNotifier(elicitationId);
      // The session may be over by then.
      setTimeout(() => complete().catch(() => {}), VISIT_MS);
    }
    throw new UrlElicitationRequiredError([{ mode: 'url', elicitationId, url, message: 'Connect your account' }]);
  });
}

// === Tasks ===

function addLongTask(server) {
  const input = { polls: z.number().int().min(0).max(1000).default(2), kinds: kindsOf(version).optional() };
  const description = 'Takes a while: best called as a task';
  const plain = async ({ kinds = [], key }, cx) => {
    const answers = await askAll(server, cx, questionsOf(kinds), { key });
    commit('long_task', key);
    return says(JSON.stringify(answers));
  };
  if (version < '2025-11-25') {
    addTool(server, 'long_task', { description, input }, plain);
    return;
  }
  const inputSchema = keyed(input);
  server.experimental.tasks.registerToolTask('long_task', { description, inputSchema, execution: { taskSupport: 'optional' } }, {
    createTask: async ({ polls, kinds = [], key }, cx) => {
      request('long_task', key);
      const task = await cx.taskStore.createTask({ ttl: cx.taskRequestedTtl ?? 60000, pollInterval: 20 });
      const { taskId } = task;
      longTasks.start(taskId, polls, cx, async (isOver) => {
        const answers = kinds.length > 0 ? await askAll(server, cx, questionsOf(kinds), { key, relatedTask: { taskId } }) : {};
        if (kinds.length > 0) await cx.taskStore.updateTaskStatus(taskId, 'working');
        await isOver;
        commit('long_task', key);
        return says(JSON.stringify(answers));
      });
      return { task };
    },
    // The SDK asks its store; it never comes to these.
    getTask: async (_args, cx) => cx.taskStore.getTask(cx.taskId),
    getTaskResult: async (_args, cx) => cx.taskStore.getTaskResult(cx.taskId),
  });
  longTasks.watch(server, 'long_task', async (args, cx) => {
    request('long_task', args.key);
    return plain(args, cx);
  });
}

// === Connections ===

async function changed(kind, uri) {
  for (const [server, subscribed] of connected) {
    if (kind === 'resource' && subscribed.has(uri)) await server.server.sendResourceUpdated({ uri });
    if (kind === 'prompts') server.sendPromptListChanged();
    if (kind === 'resources') server.sendResourceListChanged();
    if (kind === 'tools' && !addGrown(server)) server.sendToolListChanged();
  }
}

async function connect(transport) {
  const hasTasks = version >= '2025-11-25';
  const tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } };
  const server = new McpServer(
    { name: 'legacy-server', title: 'Legacy server', version: '1.0.0' },
    {
      capabilities: hasTasks ? { ...CAPABILITIES, tasks } : CAPABILITIES,
      instructions: INSTRUCTIONS,
      ...(hasTasks && { taskStore: store, taskMessageQueue: queue }),
    },
  );
  addToolset(server, sdkFor(server));
  if (version >= '2025-06-18') addDetachedQuestion(server);
  if (version >= '2025-11-25') addUrlFirst(server);
  if (pinned) pin(server.server);

  const subscribed = new Set();
  server.server.setRequestHandler(SubscribeRequestSchema, async ({ params }) => (subscribed.add(params.uri), {}));
  server.server.setRequestHandler(UnsubscribeRequestSchema, async ({ params }) => (subscribed.delete(params.uri), {}));

  await server.connect(transport);
  connected.set(server, subscribed);
  server.server.onclose = () => connected.delete(server);
}

/** Whatever the client asks for, the answer is that of a client that has asked for the pinned version. */
function pin(server) {
  const negotiate = server._requestHandlers.get('initialize');
  server.setRequestHandler(InitializeRequestSchema, ({ method, params }, cx) =>
    negotiate({ method, params: { ...params, protocolVersion: pinned } }, cx));
}

if (process.argv.includes('--stdio')) {
  await connect(new StdioServerTransport());
  endWithParent();
} else {
  const sessions = new Sessions({
    makeTransport: (options) => new StreamableHTTPServerTransport(options),
    connect,
    isInitialize: isInitializeRequest,
  });
  const streams = new Map();

  listen(async (request, response, path) => {
    if (path === '/mcp') {
      const body = request.method === 'POST' ? await readJson(request, response) : undefined;
      if (request.method === 'POST' && body === undefined) return;
      return sessions.handle(request, response, body);
    }
    if (path === '/sse' && request.method === 'GET') {
      const transport = new SSEServerTransport('/messages', response);
      streams.set(transport.sessionId, transport);
      response.on('close', () => streams.delete(transport.sessionId));
      return connect(transport);
    }
    if (path === '/messages' && request.method === 'POST') {
      const id = new URL(request.url, 'http://localhost').searchParams.get('sessionId');
      const transport = streams.get(id);
      return transport ? transport.handlePostMessage(request, response) : refuse(response, 404, -32001, 'session not found');
    }
    return refuse(response, 404, -32601, `nothing at ${path}`);
  });
}
