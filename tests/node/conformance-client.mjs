// The client under test for the suite's client scenarios: what the gateway is towards a server.
//
//   node conformance-client.mjs [--across] URL
//
// Starts the gateway ($PORTCULLIS_BIN) with the suite's server at URL behind it and does through
// it what $MCP_CONFORMANCE_SCENARIO asks. With --across the client is of the other era than the
// suite's server. With DIRECT=1 the client goes to URL itself, so that a failure can be told from one
// of the gateway.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const START_MS_MAX = 15000;
const STOP_MS_MAX = 5000;
const POLL_MS = 20;

const across = process.argv[2] === '--across';
const url = process.argv[across ? 3 : 2];
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
/** The era of the suite's server. */
const modern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION >= '2026';

// === What the scenarios ask for ===

const scenarios = {
  'initialize': listTools,
  'request-metadata': listTools,
  'json-schema-ref-no-deref': listTools,
  'tools_call': (client) => call(client, 'add_numbers', { a: 5, b: 3 }),
  'sse-retry': (client) => call(client, 'test_reconnection'),
  'elicitation-sep1034-client-defaults': (client) => call(client, 'test_client_elicitation_defaults'),

  'json-schema-2020-12-preservation': async (client) => {
    const { tools } = await client.listTools();
    const { inputSchema } = tools.find((tool) => tool.name === 'json_schema_2020_12_tool');
    await client.callTool({ name: 'json_schema_echo', arguments: { schema: inputSchema } });
  },

  'sep-2322-client-request-state': async (client) => {
    for (const name of ['test_mrtr_echo_state', 'test_mrtr_no_state', 'test_mrtr_unrelated']) await call(client, name);
    // A result without `resultType`: this client refuses it, and must not ask again.
    await call(client, 'test_mrtr_no_result_type').catch(() => {});
  },

  'http-standard-headers': async (client) => {
    const { tools } = await client.listTools();
    for (const { name } of tools) await call(client, name);
    const { resources } = await client.listResources();
    for (const { uri } of resources) await client.readResource({ uri });
    const { prompts } = await client.listPrompts();
    for (const { name } of prompts) await client.getPrompt({ name, arguments: {} });
  },

  'http-custom-headers': async (client) => {
    await client.listTools();
    const { toolCalls } = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT);
    for (const each of toolCalls) await client.callTool(each);
  },

  'http-invalid-tool-headers': async (client) => {
    const { tools } = await client.listTools();
    for (const { name } of tools) await call(client, name, { region: 'us-west1' });
  },
};

async function listTools(client) {
  await client.listTools();
}

async function call(client, name, args = {}) {
  await client.callTool({ name, arguments: args });
}

/** Declares only what the scenario needs; answers questions with what the suite accepts. */
async function connect(endpoint) {
  const capabilities = {
    'elicitation-sep1034-client-defaults': { elicitation: { form: { applyDefaults: true } } },
    'request-metadata': { elicitation: {}, roots: { listChanged: true }, sampling: {} },
    'sep-2322-client-request-state': { elicitation: {} },
  }[scenario] ?? {};
  const client = new Client(
    { name: 'conformance-client', version: '1.0.0' },
    { capabilities, versionNegotiation: { mode: modern !== across ? 'auto' : 'legacy' } },
  );
  if (capabilities.elicitation) {
    const content = scenario === 'sep-2322-client-request-state' ? { confirmed: true } : {};
    client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content }));
  }
  await client.connect(new StreamableHTTPClientTransport(new URL(endpoint)));
  return client;
}

// === The gateway ===

class Gateway {
  static async start() {
    const gateway = new Gateway();
    gateway.folder = mkdtempSync(join(tmpdir(), 'portcullis-conformance-'));
    const port = await freePort();
    const file = join(gateway.folder, 'gateway.json');
    writeFileSync(file, JSON.stringify({
      listen: `127.0.0.1:${port}`,
      admin: 'off',
      data_dir: join(gateway.folder, 'state'),
      servers: { suite: { url, era: modern ? 'modern' : 'legacy' } },
    }));
    gateway.process = spawn(process.env.PORTCULLIS_BIN, ['run', file], { stdio: ['ignore', 'ignore', 'inherit'] });
    gateway.ended = new Promise((resolve) => gateway.process.once('exit', resolve).once('error', resolve));
    process.once('exit', () => {
      gateway.process.kill('SIGKILL');
      rmSync(gateway.folder, { recursive: true, force: true });
    });
    gateway.endpoint = `http://127.0.0.1:${port}/servers/suite/mcp`;
    await Promise.race([
      ready(`http://127.0.0.1:${port}/readyz`),
      gateway.ended.then((reason) => Promise.reject(new Error(`the gateway ended before it was ready: ${reason}`))),
    ]);
    return gateway;
  }

  async stop() {
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS_MAX);
    await this.ended;
    clearTimeout(timer);
  }
}

async function ready(address) {
  const end = performance.now() + START_MS_MAX;
  while (performance.now() < end) {
    const answer = await fetch(address).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`the gateway was not ready within ${START_MS_MAX} ms`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// === Start ===

const run = scenarios[scenario];
if (!url || !run) {
  console.error(run ? 'usage: conformance-client.mjs [--across] URL' : `nothing here acts out the scenario ${scenario}`);
  process.exit(2);
}
if (!process.env.DIRECT && !process.env.PORTCULLIS_BIN) {
  console.error('PORTCULLIS_BIN must name the gateway, or DIRECT=1 leave it out');
  process.exit(2);
}
const gateway = process.env.DIRECT ? undefined : await Gateway.start();
let failure;
try {
  const client = await connect(gateway?.endpoint ?? url);
  await run(client);
  await client.close();
} catch (error) {
  failure = error;
  console.error(error);
} finally {
  await gateway?.stop();
}
process.exit(failure ? 1 : 0);
