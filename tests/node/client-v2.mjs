// The client of the TypeScript SDK v2 (every version) as a script runner; see driver.mjs.
//
// `--era=auto` probes as a host does, `--era=modern` pins 2026-07-28, `--era=legacy` initializes;
// `--version=V` names the version.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { capabilitiesFor, drive, tap, watchStream } from './driver.mjs';
import { declaring, followCore, followExtension } from './task-calls.mjs';

const NEWEST = '2026-07-28';
const MODES = { auto: 'auto', modern: { pin: NEWEST }, legacy: 'legacy' };
const QUESTIONS = { elicitation: 'elicitation/create', sampling: 'sampling/createMessage', roots: 'roots/list' };
/** The server decides each time, not the client's cache of an earlier answer. */
const FRESH = { cacheMode: 'refresh' };

await drive(async (target, options, events) => {
  const capabilities = capabilitiesFor(options);
  const client = new Client(
    { name: 'client-v2', version: '2.0.0' },
    { capabilities, ...negotiation(options) },
  );
  client.fallbackNotificationHandler = async ({ method, params }) => events.notified({ method, params });
  for (const [capability, method] of Object.entries(QUESTIONS)) {
    if (capabilities[capability]) client.setRequestHandler(method, async ({ params }) => events.asked(method, params));
  }
  const stream = watchStream();
  const transport = transportFor(target, options, stream.fetch);
  const wire = tap(transport, {
    received: ({ result }) => {
      // The SDK knows no tasks: what a call became is a member of its result.
      if (result?.resultType === 'task') Object.assign(result, { resultType: 'complete', content: [], task: { ...result } });
    },
  });
  await client.connect(transport, { timeout: options.timeout_ms });

  const subscriptions = [];
  const modern = client.getProtocolEra() === 'modern';
  const streamIsOpen = async () => !modern && options.transport === 'http' && stream.opened;
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
  const request = (method, params, how) => {
    if (!methods[method]) throw new Error(`the script has an unknown step: ${method}`);
    return methods[method](params, how);
  };
  const raw = (method, params, timeout) => wire.raw(client._envelopeOutbound({ method, params }), timeout);

  return {
    isModern: modern,
    identity: () => ({
      era: client.getProtocolEra(),
      protocolVersion: client.getNegotiatedProtocolVersion(),
      serverInfo: client.getServerVersion() ?? null,
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions() ?? null,
      sessionId: transport.sessionId ?? null,
    }),
    request,
    streamIsOpen,
    page: (method, params, how) => client.request({ method, params }, how),
    raw,
    callTask: async (params, task, { entry, ...how }) => {
      const ask = (method, params) => raw(method, params, how.timeout);
      if (modern) {
        const result = await request('tools/call', declaring(params, capabilities), how);
        if (!result.task) return result;
        return followExtension(result.task, { raw: ask, capabilities, answer: events.asked, entry, timeout: how.timeout });
      }
      const { tools } = await request('tools/list', {}, { timeout: how.timeout });
      const support = tools.find(({ name }) => name === params.name)?.execution?.taskSupport;
      const isOffered = client.getServerCapabilities()?.tasks?.requests?.tools?.call && support && support !== 'forbidden';
      if (!isOffered) return request('tools/call', params, how);
      const result = await ask('tools/call', { ...params, task });
      return result.task ? followCore(result.task, { raw: ask, entry, timeout: how.timeout }) : result;
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

function negotiation({ era, version }) {
  if (version === undefined) return { versionNegotiation: { mode: MODES[era] } };
  const mode = version >= NEWEST ? { pin: version } : 'legacy';
  return { versionNegotiation: { mode }, supportedProtocolVersions: [version] };
}

function transportFor(target, { transport, headers, env }, fetch) {
  if (transport === 'stdio') return new StdioClientTransport({ command: target[0], args: target.slice(1), env, stderr: 'inherit' });
  const url = new URL(target);
  const requestInit = { headers };
  return transport === 'sse' ? new SSEClientTransport(url, { requestInit }) : new StreamableHTTPClientTransport(url, { requestInit, fetch });
}
