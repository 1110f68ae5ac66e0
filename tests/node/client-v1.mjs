// The client of the TypeScript SDK v1 (up to 2025-11-25) as a script runner; see driver.mjs.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { capabilitiesFor, drive, tap, watchStream } from './driver.mjs';
import { begin } from './task-calls.mjs';

const QUESTIONS = {
  elicitation: ElicitRequestSchema,
  sampling: CreateMessageRequestSchema,
  roots: ListRootsRequestSchema,
};

await drive(async (target, options, events) => {
  const capabilities = capabilitiesFor(options);
  const client = new Client({ name: 'client-v1', version: '1.0.0' }, { capabilities });
  client.fallbackNotificationHandler = async ({ method, params }) => events.notified({ method, params });
  for (const [capability, schema] of Object.entries(QUESTIONS)) {
    if (capabilities[capability]) {
      client.setRequestHandler(schema, async ({ method, params }) => events.asked(method, params));
    }
  }
  const stream = watchStream();
  const transport = transportFor(target, options, stream.fetch);
  let negotiated = null;
  const wire = tap(transport, {
    sending: ({ method, params }) => {
      // The SDK asks for its newest version alone.
      if (method === 'initialize' && options.version) params.protocolVersion = options.version;
    },
    received: ({ result }) => {
      if (result?.protocolVersion) negotiated ??= result.protocolVersion;
    },
  });
  await client.connect(transport, { timeout: options.timeout_ms });
  if (options.version && negotiated !== options.version) {
    await client.close();
    throw new Error(`Server's protocol version is not supported: ${negotiated}`);
  }
  const streamIsOpen = async () => options.transport === 'http' && stream.opened;

  const methods = {
    ping: (_params, request) => client.ping(request),
    'tools/list': (params, request) => client.listTools(params, request),
    'tools/call': (params, request) => client.callTool(params, undefined, request),
    'resources/list': (params, request) => client.listResources(params, request),
    'resources/templates/list': (params, request) => client.listResourceTemplates(params, request),
    'resources/read': (params, request) => client.readResource(params, request),
    'resources/subscribe': async (params, request) => {
      await streamIsOpen();
      return client.subscribeResource(params, request);
    },
    'resources/unsubscribe': (params, request) => client.unsubscribeResource(params, request),
    'prompts/list': (params, request) => client.listPrompts(params, request),
    'prompts/get': (params, request) => client.getPrompt(params, request),
    'completion/complete': (params, request) => client.complete(params, request),
    'logging/setLevel': ({ level }, request) => client.setLoggingLevel(level, request),
    // Changes arrive unasked in a session; there is nothing to open but the session's own stream.
    listen: async ({ notifications }) => {
      await streamIsOpen();
      for (const uri of notifications?.resourceSubscriptions ?? []) await client.subscribeResource({ uri });
      return { honored: notifications };
    },
  };
  const request = (method, params, how) => {
    if (!methods[method]) throw new Error(`the script has an unknown step: ${method}`);
    return methods[method](params, how);
  };

  return {
    isModern: false,
    identity: () => ({
      era: 'legacy',
      protocolVersion: negotiated,
      serverInfo: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions() ?? null,
      sessionId: transport.sessionId ?? null,
    }),
    request,
    page: request,
    streamIsOpen,
    raw: (method, params, timeout) => wire.raw({ method, params }, timeout),
    callTask: async (params, task, { entry, ...how }) => {
      if (!(await mayBeTask(client, params.name, how))) return request('tools/call', params, how);
      let changed = () => {};
      for await (const message of client.experimental.tasks.callToolStream(params, undefined, { ...how, task })) {
        if (message.type === 'taskCreated') changed = begin(entry, message.task);
        if (message.type === 'taskStatus') changed(message.task.status);
        if (message.type === 'error') throw message.error;
        if (message.type === 'result') return message.result;
      }
      throw new Error('the task has ended without a result');
    },
    terminate: async () => {
      await transport.terminateSession();
      return {};
    },
    close: () => client.close(),
  };
});

/** Whether server and tool say that a call may become a task. */
async function mayBeTask(client, name, how) {
  if (!client.getServerCapabilities()?.tasks?.requests?.tools?.call) return false;
  let cursor;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor }, { timeout: how.timeout });
    const support = page.tools.find((tool) => tool.name === name)?.execution?.taskSupport;
    if (support) return support !== 'forbidden';
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return false;
}

function transportFor(target, { transport, headers, env }, fetch) {
  if (transport === 'stdio') return new StdioClientTransport({ command: target[0], args: target.slice(1), env, stderr: 'inherit' });
  const url = new URL(target);
  const requestInit = { headers };
  return transport === 'sse' ? new SSEClientTransport(url, { requestInit }) : new StreamableHTTPClientTransport(url, { requestInit, fetch });
}
