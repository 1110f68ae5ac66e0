// A server up to 2025-11-25: Streamable HTTP with sessions on `/mcp`, HTTP+SSE of 2024-11-05 on
// `/sse`, or stdio with `--stdio`.

import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import {
  CreateMessageResultSchema, ElicitResultSchema, ListRootsResultSchema, SubscribeRequestSchema,
  UnsubscribeRequestSchema, isInitializeRequest,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { Sessions, endWithParent, listen, readJson, refuse } from './serve.mjs';
import { CAPABILITIES, INSTRUCTIONS, addGrown, addToolset, commit, says } from './toolset.mjs';

/** Every connected server with the resources that its client has subscribed to. */
const connected = new Map();

const form = (message) => ({
  mode: 'form',
  message,
  requestedSchema: { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] },
});

function sdkFor(server) {
  return {
    ResourceTemplate,
    completable,
    promptArguments: (shape) => shape,
    ask: async (cx, question) => ({ answer: await cx.sendRequest({ method: 'elicitation/create', params: form(question) }, ElicitResultSchema) }),
    sample: async (cx, prompt) => ({
      answer: await cx.sendRequest({
        method: 'sampling/createMessage',
        params: { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 },
      }, CreateMessageResultSchema),
    }),
    roots: async (cx) => ({ answer: await cx.sendRequest({ method: 'roots/list' }, ListRootsResultSchema) }),
    notify: (cx, notification) => cx.sendNotification(notification),
    log: (cx, level, data) => server.sendLoggingMessage({ level, data }, cx.sessionId),
    call: (cx) => ({ token: cx._meta?.progressToken, signal: cx.signal, headers: cx.requestInfo?.headers ?? {} }),
    changed,
  };
}

async function changed(kind, uri) {
  for (const [server, subscribed] of connected) {
    if (kind === 'resource' && subscribed.has(uri)) await server.server.sendResourceUpdated({ uri });
    if (kind === 'prompts') server.sendPromptListChanged();
    if (kind === 'resources') server.sendResourceListChanged();
    if (kind === 'tools' && !addGrown(server)) server.sendToolListChanged();
  }
}

async function connect(transport) {
  const server = new McpServer(
    { name: 'legacy-server', title: 'Legacy server', version: '1.0.0' },
    { capabilities: CAPABILITIES, instructions: INSTRUCTIONS },
  );
  addToolset(server, sdkFor(server));
  addDetachedQuestion(server);

  const subscribed = new Set();
  server.server.setRequestHandler(SubscribeRequestSchema, async ({ params }) => (subscribed.add(params.uri), {}));
  server.server.setRequestHandler(UnsubscribeRequestSchema, async ({ params }) => (subscribed.delete(params.uri), {}));

  await server.connect(transport);
  connected.set(server, subscribed);
  server.server.onclose = () => connected.delete(server);
}

/** A question that belongs to no call: it goes out on the session's own stream. */
function addDetachedQuestion(server) {
  server.registerTool(
    'ask_later',
    { description: 'Answers at once and then asks', inputSchema: z.object({ question: z.string() }) },
    async ({ question }) => {
      server.server.elicitInput(form(question)).then(
        ({ action }) => commit(`ask_later:${action}`),
        () => commit('ask_later:failed'),
      );
      return says('the question comes');
    },
  );
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
