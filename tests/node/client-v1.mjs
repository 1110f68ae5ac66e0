// The client of the TypeScript SDK v1 (up to 2025-11-25) as a script runner; see driver.mjs.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { capabilitiesFor, drive, watchStream } from './driver.mjs';

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
  await client.connect(transport, { timeout: options.timeout_ms });
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
  return {
    identity: () => ({
      era: 'legacy',
      protocolVersion: transport.protocolVersion ?? null,
      serverInfo: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions() ?? null,
      sessionId: transport.sessionId ?? null,
    }),
    request: (method, params, request) => {
      if (!methods[method]) throw new Error(`the script has an unknown step: ${method}`);
      return methods[method](params, request);
    },
    terminate: async () => {
      await transport.terminateSession();
      return {};
    },
    close: () => client.close(),
  };
});

function transportFor(target, { transport, headers }, fetch) {
  if (transport === 'stdio') return new StdioClientTransport({ command: target[0], args: target.slice(1), stderr: 'inherit' });
  const url = new URL(target);
  const requestInit = { headers };
  return transport === 'sse' ? new SSEClientTransport(url, { requestInit }) : new StreamableHTTPClientTransport(url, { requestInit, fetch });
}
