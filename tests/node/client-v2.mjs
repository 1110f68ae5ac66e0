// The client of the TypeScript SDK v2 (every version) as a script runner; see driver.mjs.
//
// `--era=auto` probes as a host does, `--era=modern` pins 2026-07-28, `--era=legacy` initializes.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { capabilitiesFor, drive, watchStream } from './driver.mjs';

const MODES = { auto: 'auto', modern: { pin: '2026-07-28' }, legacy: 'legacy' };
const QUESTIONS = { elicitation: 'elicitation/create', sampling: 'sampling/createMessage', roots: 'roots/list' };
/** The server decides each time, not the client's cache of an earlier answer. */
const FRESH = { cacheMode: 'refresh' };

await drive(async (target, options, events) => {
  const capabilities = capabilitiesFor(options);
  const client = new Client(
    { name: 'client-v2', version: '2.0.0' },
    { capabilities, versionNegotiation: { mode: MODES[options.era] } },
  );
  client.fallbackNotificationHandler = async ({ method, params }) => events.notified({ method, params });
  for (const [capability, method] of Object.entries(QUESTIONS)) {
    if (capabilities[capability]) client.setRequestHandler(method, async ({ params }) => events.asked(method, params));
  }
  const stream = watchStream();
  const transport = transportFor(target, options, stream.fetch);
  await client.connect(transport, { timeout: options.timeout_ms });

  const subscriptions = [];
  const modern = client.getProtocolEra() === 'modern';
  const streamIsOpen = async () => options.transport === 'http' && stream.opened;
  const listen = async (filter, request) => {
    const subscription = await client.listen(filter, request);
    subscriptions.push(subscription);
    return { honored: subscription.honoredFilter };
  };
  const methods = {
    ping: (_params, request) => client.ping(request),
    'server/discover': (_params, request) => client.discover(request),
    'tools/list': (params, request) => client.listTools(params, { ...request, ...FRESH }),
    'tools/call': (params, request) => client.callTool(params, request),
    'resources/list': (params, request) => client.listResources(params, { ...request, ...FRESH }),
    'resources/templates/list': (params, request) => client.listResourceTemplates(params, { ...request, ...FRESH }),
    'resources/read': (params, request) => client.readResource(params, { ...request, ...FRESH }),
    'resources/subscribe': async ({ uri }, request) => {
      if (modern) return listen({ resourceSubscriptions: [uri] }, request);
      await streamIsOpen();
      return client.subscribeResource({ uri }, request);
    },
    'resources/unsubscribe': (params, request) => client.unsubscribeResource(params, request),
    'prompts/list': (params, request) => client.listPrompts(params, { ...request, ...FRESH }),
    'prompts/get': (params, request) => client.getPrompt(params, request),
    'completion/complete': (params, request) => client.complete(params, request),
    'logging/setLevel': ({ level }, request) => client.setLoggingLevel(level, request),
    listen: async ({ notifications }, request) => {
      if (modern) return listen(notifications, request);
      // Changes arrive unasked in a session; there is nothing to open but the session's own stream.
      await streamIsOpen();
      for (const uri of notifications?.resourceSubscriptions ?? []) await client.subscribeResource({ uri });
      return { honored: notifications };
    },
  };
  return {
    identity: () => ({
      era: client.getProtocolEra(),
      protocolVersion: client.getNegotiatedProtocolVersion(),
      serverInfo: client.getServerVersion() ?? null,
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
    close: async () => {
      await Promise.allSettled(subscriptions.map((subscription) => subscription.close()));
      await client.close();
    },
  };
});

function transportFor(target, { transport, headers }, fetch) {
  if (transport === 'stdio') return new StdioClientTransport({ command: target[0], args: target.slice(1), stderr: 'inherit' });
  const url = new URL(target);
  const requestInit = { headers };
  return transport === 'sse' ? new SSEClientTransport(url, { requestInit }) : new StreamableHTTPClientTransport(url, { requestInit, fetch });
}
