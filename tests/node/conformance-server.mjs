// A server of both eras on one URL that has everything the official conformance suite asks for.
//
// Names, arguments and texts that look odd (`test_simple_text`, `test://static-text`) are fixed by
// the suite. Modern requests (2026-07-28) are served statelessly, `initialize` and what follows it
// (up to 2025-11-25) in sessions. Every tool asks in the way of the era in which it is called, and so
// the suite of either era also passes behind something that speaks the other one to this server.

import { randomBytes } from 'node:crypto';
import {
  CLIENT_CAPABILITIES_META_KEY, McpServer, ResourceTemplate, acceptedContent,
  classifyInboundRequest, createMcpHandler, createRequestStateCodec, fromJsonSchema, inputRequired,
  isInitializeRequest,
} from '@modelcontextprotocol/server';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { z } from 'zod';
import { Sessions, listen, pause, readJson, refuse } from './serve.mjs';
import { SESSION_TASKS, SessionTasks } from './session-tasks.mjs';
import { TASKS, Tasks, addTaskTools } from './tasks.mjs';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';
const RETRY_MS = 1000;
const SERVER_INFO = { name: 'conformance-server', version: '1.0.0' };

const requestState = createRequestStateCodec({ key: randomBytes(32) });
const modern = createMcpHandler(buildServer, { legacy: 'reject', onerror: logUnlessClient });
const serveModern = toNodeHandler(modern);
const tasks = new Tasks(SERVER_INFO);
const sessionTasks = new SessionTasks();
/** The servers of all sessions. */
const connected = new Set();
const sessions = new Sessions({
  makeTransport: (options) => new NodeStreamableHTTPServerTransport(options),
  connect,
  isInitialize: isInitializeRequest,
  options: { retryInterval: RETRY_MS },
});

listen(async (request, response, path) => {
  if (path !== '/mcp') return refuse(response, 404, -32601, `nothing at ${path}`);
  if (request.method !== 'POST') return sessions.handle(request, response);

  const body = await readJson(request, response);
  if (body === undefined) return;
  const era = classifyInboundRequest({
    httpMethod: 'POST',
    protocolVersionHeader: request.headers['mcp-protocol-version'],
    mcpMethodHeader: request.headers['mcp-method'],
    body,
  });
  if (era.kind === 'legacy') return sessions.handle(request, response, body);
  const answered = tasks.answer(body, request.headers);
  if (!answered) return serveModern(request, response, body);
  response.writeHead(answered.status, { 'content-type': 'application/json' }).end(JSON.stringify(answered.message));
});

function logUnlessClient(error) {
  // A refused request is what most scenarios want; only what the server did wrong is worth a line.
  if (!(error?.code <= -32000)) console.error(error.message);
}

async function connect(transport) {
  const server = buildServer({ era: 'legacy' });
  sessionTasks.install(server);
  await server.connect(transport);
  connected.add(server);
  server.server.onclose = () => connected.delete(server);
}

/** A fresh server: one for each modern request, one for each legacy session. */
function buildServer({ era }) {
  const server = new McpServer(
    SERVER_INFO,
    {
      capabilities: {
        completions: {},
        logging: {},
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        tools: { listChanged: true },
        ...(era === 'modern' ? { extensions: { [TASKS]: {} } } : { tasks: SESSION_TASKS }),
      },
      requestState: { verify: requestState.verify },
    },
  );
  addContentTools(server);
  addNotifyingTools(server);
  addAskingTools(server, era);
  addInputRequiredTools(server);
  addSchemaTools(server);
  addTaskTools(server, askOnce);
  addResources(server);
  addPrompts(server);
  addUtilities(server);
  return server;
}

// === What a tool can return ===

function addContentTools(server) {
  const answers = {
    test_simple_text: [text('This is a simple text response for testing.')],
    test_image_content: [image()],
    test_audio_content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
    test_embedded_resource: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
    test_multiple_content_types: [
      text('Multiple content types test:'),
      image(),
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  };
  for (const [name, content] of Object.entries(answers)) {
    server.registerTool(name, { description: `Returns fixed content: ${name}` }, async () => ({ content }));
  }
  server.registerTool('test_error_handling', { description: 'Always fails' }, async () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
}

// === What a tool can send while it runs ===

function addNotifyingTools(server) {
  tool(server, 'test_tool_with_logging', 'Logs three lines while it runs', async (cx) => {
    for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await cx.mcpReq.log('info', line);
      await pause(50);
    }
    return says('logged three lines');
  });

  tool(server, 'test_tool_with_progress', 'Reports progress 0, 50 and 100', async (cx) => {
    const progressToken = cx.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        await cx.mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 100, message: `${progress} of 100` },
        });
      }
      if (progress < 100) await pause(50);
    }
    return says('went through three steps');
  });

  tool(server, 'test_logging_tool', 'Logs one line if the request asked for logs', async (cx) => {
    await cx.mcpReq.log('info', 'seen only by requests that name a log level');
    return says('done');
  });

  tool(server, 'test_streaming_elicitation', 'Answers with a result and nothing else', async () => says('no question asked'));

  tool(server, 'test_reconnection', 'Closes its stream in the middle of the call (2025-11-25)', async (cx) => {
    cx.http?.closeSSE?.();
    await pause(100);
    return says('this result is fetched by a client that came back');
  });

  tool(server, 'test_trigger_tool_change', 'Announces that the tools have changed', async () => {
    modern.notify.toolsChanged();
    for (const each of connected) each.sendToolListChanged();
    return says('announced');
  });
  tool(server, 'test_trigger_prompt_change', 'Announces that the prompts have changed', async () => {
    modern.notify.promptsChanged();
    for (const each of connected) each.sendPromptListChanged();
    return says('announced');
  });
}

// === Questions of the scenarios up to 2025-11-25: in sessions, requests in the middle of a call ===

function addAskingTools(server, era) {
  server.registerTool(
    'test_sampling',
    { description: "Asks the client's model", inputSchema: z.object({ prompt: z.string() }) },
    ({ prompt }, cx) => {
      const params = { messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 };
      const ask = { legacy: () => cx.mcpReq.requestSampling(params), modern: () => inputRequired.createMessage(params) };
      return whenAnswered(cx, era, ask, (answer) => says(`LLM response: ${answer.content.text}`));
    },
  );

  const askForm = (cx, message, properties, required = []) => {
    const params = { mode: 'form', message, requestedSchema: { type: 'object', properties, required } };
    const ask = { legacy: () => cx.mcpReq.elicitInput(params), modern: () => inputRequired.elicit(params) };
    return whenAnswered(cx, era, ask, ({ action, content = {} }) =>
      says(`User response: action=${action}, content=${JSON.stringify(content)}`));
  };

  server.registerTool(
    'test_elicitation',
    { description: 'Asks the user for name and address', inputSchema: z.object({ message: z.string() }) },
    ({ message }, cx) =>
      askForm(cx, message, {
        username: { type: 'string', description: "User's response" },
        email: { type: 'string', description: "User's email address" },
      }, ['username', 'email']),
  );

  tool(server, 'test_elicitation_sep1034_defaults', 'Asks with a default for each primitive type', (cx) =>
    askForm(cx, 'Please review the defaults', {
      name: { type: 'string', description: 'Name', default: 'John Doe' },
      age: { type: 'integer', description: 'Age', default: 30 },
      score: { type: 'number', description: 'Score', default: 95.5 },
      status: { type: 'string', description: 'Status', enum: ['active', 'inactive', 'pending'], default: 'active' },
      verified: { type: 'boolean', description: 'Verified', default: true },
    }));

  const plain = ['option1', 'option2', 'option3'];
  const titled = ['First', 'Second', 'Third'].map((title, at) => ({ const: `value${at + 1}`, title: `${title} Option` }));
  tool(server, 'test_elicitation_sep1330_enums', 'Asks with each form of enumeration', (cx) =>
    askForm(cx, 'Please choose', {
      untitledSingle: { type: 'string', enum: plain },
      titledSingle: { type: 'string', oneOf: titled },
      legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
      untitledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { type: 'string', enum: plain } },
      titledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { anyOf: titled } },
    }));
}

/** What the tool says to the answer, once it is there. */
async function whenAnswered(cx, era, ask, say) {
  if (era === 'modern') {
    const answer = cx.mcpReq.inputResponses?.answer;
    return answer ? say(answer) : inputRequired({ inputRequests: { answer: ask.modern() } });
  }
  try {
    return say(await ask.legacy());
  } catch (error) {
    return { ...says(`the client could not be asked: ${error.message}`), isError: true };
  }
}

// === Questions of the scenarios of 2026-07-28: results that ask for another round ===
//
// In sessions the SDK sends them as requests itself, and calls the tool again with the answers.

function addInputRequiredTools(server) {
  const nameQuestion = elicit('What is your name?', { name: { type: 'string' } });
  const okQuestion = elicit('Please confirm', { ok: { type: 'boolean' } });
  const sample = (prompt) =>
    inputRequired.createMessage({ messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 });

  tool(server, 'test_input_required_result_elicitation', 'Asks for a name', async (cx) => {
    const name = accepted(cx, 'user_name')?.name;
    if (typeof name !== 'string') return inputRequired({ inputRequests: { user_name: nameQuestion } });
    return says(`Hello, ${name}!`);
  });

  tool(server, 'test_input_required_result_sampling', 'Asks the model for a capital', async (cx) => {
    const answer = cx.mcpReq.inputResponses?.capital_question;
    if (!answer) return inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?') } });
    return says(`The model says: ${answer.content?.text}`);
  });

  tool(server, 'test_input_required_result_list_roots', 'Asks for the roots', async (cx) => {
    const roots = cx.mcpReq.inputResponses?.client_roots?.roots;
    if (!roots) return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    return says(`Roots: ${roots.map((root) => root.uri).join(', ')}`);
  });

  tool(server, 'test_input_required_result_request_state', 'Carries state through the client', async (cx) => {
    if (cx.mcpReq.requestState() && accepted(cx, 'confirm')) return says('state-ok');
    return inputRequired({
      inputRequests: { confirm: okQuestion },
      requestState: await requestState.mint({ round: 1 }),
    });
  });

  tool(server, 'test_input_required_result_tampered_state', 'Refuses state that was changed on the way', async (cx) => {
    // `requestState.verify` refuses a changed state before this function runs.
    if (cx.mcpReq.requestState() && accepted(cx, 'confirm')) return says('the state came back unchanged');
    return inputRequired({
      inputRequests: { confirm: okQuestion },
      requestState: await requestState.mint({ round: 1 }),
    });
  });

  tool(server, 'test_input_required_result_multiple_inputs', 'Asks three things at once', async (cx) => {
    const name = accepted(cx, 'user_name')?.name;
    const greeting = cx.mcpReq.inputResponses?.greeting?.content?.text;
    const roots = cx.mcpReq.inputResponses?.client_roots?.roots;
    if (name && greeting && roots) return says(`${greeting}, ${name}: ${roots.length} roots`);
    return inputRequired({
      inputRequests: { user_name: nameQuestion, greeting: sample('Write a greeting'), client_roots: inputRequired.listRoots() },
      requestState: await requestState.mint({ round: 1 }),
    });
  });

  tool(server, 'test_input_required_result_multi_round', 'Asks twice, then answers', async (cx) => {
    const state = cx.mcpReq.requestState();
    if (!state) {
      return inputRequired({
        inputRequests: { step1: elicit('Step 1: your name?', { name: { type: 'string' } }) },
        requestState: await requestState.mint({ round: 1 }),
      });
    }
    if (state.round === 1) {
      return inputRequired({
        inputRequests: { step2: elicit('Step 2: your favourite colour?', { color: { type: 'string' } }) },
        requestState: await requestState.mint({ round: 2, name: accepted(cx, 'step1')?.name }),
      });
    }
    return says(`${state.name} likes ${accepted(cx, 'step2')?.color}`);
  });

  tool(server, 'test_input_required_result_capabilities', 'Asks only what the client can answer', async (cx) => {
    if (cx.mcpReq.inputResponses) return says('all answered');
    const declared = cx.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? server.server.getClientCapabilities() ?? {};
    const possible = {
      elicitation: { user_name: nameQuestion },
      sampling: { greeting: sample('Write a greeting') },
      roots: { client_roots: inputRequired.listRoots() },
    };
    const inputRequests = Object.assign({}, ...Object.keys(possible).filter((key) => declared[key]).map((key) => possible[key]));
    return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : says('nothing can be asked');
  });

  // Needs the sampling capability; a request without it is refused with -32021.
  tool(server, 'test_missing_capability', 'Needs the sampling capability', async (cx) => {
    if (cx.mcpReq.inputResponses?.answer) return says('the model has answered');
    return inputRequired({ inputRequests: { answer: sample('Say yes') } });
  });
}

async function askOnce(cx, key, question) {
  const answer = accepted(cx, key);
  return answer ? says(JSON.stringify(answer)) : inputRequired({ inputRequests: { [key]: question } });
}

// === Schemas that must reach the client as they are written ===

function addSchemaTools(server) {
  server.registerTool(
    'test_x_mcp_header',
    {
      description: 'Has an argument that is mirrored into a header',
      inputSchema: fromJsonSchema({
        type: 'object',
        properties: {
          region: { type: 'string', 'x-mcp-header': 'Region' },
          level: { type: 'integer' },
        },
      }),
    },
    async ({ region }) => says(`region=${region ?? 'none'}`),
  );

  server.registerTool(
    'json_schema_2020_12_tool',
    {
      description: 'Has a schema with the keywords of JSON Schema 2020-12',
      inputSchema: fromJsonSchema({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        $defs: {
          address: {
            $anchor: 'addressDef',
            type: 'object',
            properties: { street: { type: 'string' }, city: { type: 'string' } },
          },
        },
        properties: {
          name: { type: 'string' },
          address: { $ref: '#/$defs/address' },
          contactMethod: { type: 'string', enum: ['phone', 'email'] },
          phone: { type: 'string' },
          email: { type: 'string' },
        },
        allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
        if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
        then: { required: ['phone'] },
        else: { required: ['email'] },
        additionalProperties: false,
      }),
    },
    async (args) => says(JSON.stringify(args)),
  );
}

// === Resources ===

function addResources(server) {
  const fixed = [
    ['static-text', 'text/plain', { text: 'This is the content of the static text resource.' }],
    ['static-binary', 'image/png', { blob: PNG }],
    ['watched-resource', 'text/plain', { text: 'Watched resource content' }],
  ];
  for (const [name, mimeType, content] of fixed) {
    const uri = `test://${name}`;
    server.registerResource(name, uri, { description: `Fixed content: ${name}`, mimeType }, async () => ({
      contents: [{ uri, mimeType, ...content }],
    }));
  }
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'Data of one id', mimeType: 'application/json' },
    async (uri, { id }) => ({
      contents: [{
        uri: uri.href,
        mimeType: 'application/json',
        text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
      }],
    }),
  );
}

// === Prompts ===

function addPrompts(server) {
  const user = (content) => ({ role: 'user', content });

  server.registerPrompt('test_simple_prompt', { description: 'A prompt without arguments' }, async () => ({
    messages: [user(text('This is a simple prompt for testing.'))],
  }));
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'A prompt with two arguments', argsSchema: z.object({ arg1: z.string(), arg2: z.string() }) },
    async ({ arg1, arg2 }) => ({ messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))] }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt with a resource in it', argsSchema: z.object({ resourceUri: z.string() }) },
    async ({ resourceUri }) => ({
      messages: [
        user(embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.')),
        user(text('Please process the embedded resource above.')),
      ],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with an image in it' }, async () => ({
    messages: [user(image()), user(text('Please analyze the image above.'))],
  }));
  server.registerPrompt('test_input_required_result_prompt', { description: 'A prompt that asks first' }, async (cx) => {
    const context = accepted(cx, 'user_context')?.context;
    if (context) return { messages: [user(text(`Context: ${context}`))] };
    return inputRequired({
      inputRequests: { user_context: elicit('What context should the prompt use?', { context: { type: 'string' } }) },
    });
  });
}

// === Requests that the SDK leaves to the server ===

function addUtilities(server) {
  server.server.setRequestHandler('resources/subscribe', async () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', async () => ({}));
  server.server.setRequestHandler('completion/complete', async () => ({
    completion: { values: ['first', 'second'], total: 2, hasMore: false },
  }));
}

// === Short forms ===

function tool(server, name, description, run) {
  server.registerTool(name, { description, inputSchema: z.object({}) }, (_arguments, cx) => run(cx));
}

function accepted(cx, key) {
  return acceptedContent(cx.mcpReq.inputResponses, key);
}

function elicit(message, properties) {
  return inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties, required: Object.keys(properties) },
  });
}

function text(value) {
  return { type: 'text', text: value };
}

function image() {
  return { type: 'image', data: PNG, mimeType: 'image/png' };
}

function embedded(uri, mimeType, value) {
  return { type: 'resource', resource: { uri, mimeType, text: value } };
}

function says(value) {
  return { content: [text(value)] };
}
