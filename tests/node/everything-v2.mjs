// A server of 2026-07-28 alone, over Streamable HTTP, or over stdio with `--stdio`.
//
// With `--dual` it answers `initialize` as well (over HTTP without sessions).

import { randomBytes } from 'node:crypto';
import {
  McpServer, ProtocolError, ResourceTemplate, completable, createMcpHandler, createRequestStateCodec, inputRequired,
} from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { commit } from './counters.mjs';
import { endWithParent, listen, refuse } from './serve.mjs';
import { TASKS, Task, describeTask } from './tasks.mjs';
import { CAPABILITIES, INSTRUCTIONS, addGrown, addTool, addToolset, kindsOf, questionsOf, says } from './toolset.mjs';

const VERSION = '2026-07-28';
const CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const INVALID_PARAMS = -32602;
const MISSING_CAPABILITY = -32021;

const overStdio = process.argv.includes('--stdio');
const dual = process.argv.includes('--dual');
const requestState = createRequestStateCodec({ key: randomBytes(32) });
let handler;

const sdk = {
  version: VERSION,
  ResourceTemplate,
  completable,
  promptArguments: (shape) => z.object(shape),
  ask,
  longTask: addLongTask,
  notify: (cx, notification) => cx.mcpReq.notify(notification),
  log: (cx, level, data) => cx.mcpReq.log(level, data),
  call: (cx) => ({
    token: cx.mcpReq._meta?.progressToken,
    signal: cx.mcpReq.signal,
    headers: Object.fromEntries(cx.http?.req?.headers ?? []),
  }),
};

/** Asks what has no answer yet; earlier answers are in the state, which belongs to `bound` alone. */
async function ask(cx, questions, { bound, inTurn = false, stateless = false }) {
  const belongs = JSON.stringify(bound);
  const state = stateless ? undefined : cx.mcpReq.requestState();
  const continues = stateless || state?.belongs === belongs;
  const answers = continues ? { ...state?.answers, ...cx.mcpReq.inputResponses } : {};
  const missing = Object.keys(questions).filter((key) => !answers[key]);
  const answered = Object.fromEntries(Object.keys(questions).filter((key) => answers[key]).map((key) => [key, answers[key]]));
  if (missing.length === 0) return { answers: answered };

  const asked = inTurn ? missing.slice(0, 1) : missing;
  const pending = { inputRequests: Object.fromEntries(asked.map((key) => [key, questions[key]])) };
  if (!stateless) pending.requestState = await requestState.mint({ belongs, answers: answered });
  return { pending: inputRequired(pending) };
}

// === Tasks ===

const tasks = new Map();

function addLongTask(server) {
  const input = { polls: z.number().int().min(0).max(1000).default(2), kinds: kindsOf(VERSION).optional() };
  addTool(server, 'long_task', { description: 'Takes a while: best called as a task', input }, async ({ polls, kinds = [], key }, cx) => {
    if (!declaresTasks(cx)) {
      const { answers, pending } = await ask(cx, questionsOf(kinds), { bound: ['long_task', kinds, key] });
      if (pending) return pending;
      commit('long_task', key);
      return says(JSON.stringify(answers));
    }
    const task = new Task();
    tasks.set(task.id, task);
    task.start(async () => {
      const answers = kinds.length > 0 ? await task.ask(questionsOf(kinds)) : {};
      await task.asked(polls);
      commit('long_task', key);
      return says(JSON.stringify(answers));
    });
    return { resultType: 'task', ...describeTask(task) };
  });
  const methods = {
    'tasks/get': (task) => task.report(),
    // The SDK takes the answers out of the parameters, as it does for calls.
    'tasks/update': (task, cx) => (task.update(cx.mcpReq.inputResponses), {}),
    'tasks/cancel': (task) => (task.cancel(), {}),
  };
  for (const [method, answer] of Object.entries(methods)) {
    server.server.setRequestHandler(method, { params: z.looseObject({ taskId: z.string() }) }, async (params, cx) => {
      if (!declaresTasks(cx)) {
        const data = { requiredCapabilities: { extensions: { [TASKS]: {} } } };
        throw new ProtocolError(MISSING_CAPABILITY, 'the client does not declare the tasks extension', data);
      }
      const task = tasks.get(params.taskId);
      if (!task) throw new ProtocolError(INVALID_PARAMS, 'there is no such task');
      return answer(task, cx);
    });
  }
}

function declaresTasks(cx) {
  const capabilities = cx.mcpReq.envelope?.[CLIENT_CAPABILITIES] ?? cx.mcpReq._meta?.[CLIENT_CAPABILITIES];
  return capabilities?.extensions?.[TASKS] !== undefined;
}

// === Connections ===

function buildServer({ era } = {}) {
  const capabilities = era === 'legacy' ? CAPABILITIES : { ...CAPABILITIES, extensions: { [TASKS]: {} } };
  const server = new McpServer(
    { name: 'everything-v2', title: 'Everything (2026-07-28)', version: '2.0.0' },
    { capabilities, instructions: INSTRUCTIONS, requestState: { verify: requestState.verify } },
  );
  addToolset(server, { ...sdk, changed: overStdio ? changedOn(server) : changed });
  if (dual) {
    server.server.setRequestHandler('resources/subscribe', async () => ({}));
    server.server.setRequestHandler('resources/unsubscribe', async () => ({}));
  }
  return server;
}

/** Over HTTP each request has a server of its own: changes go to the streams that listen. */
async function changed(kind, uri) {
  if (kind === 'resource') handler.notify.resourceUpdated(uri);
  else handler.notify[`${kind}Changed`]();
}

/** Over stdio one server lives as long as the connection: changes are its own. */
function changedOn(server) {
  return async (kind, uri) => {
    if (kind === 'resource') return server.server.sendResourceUpdated({ uri });
    if (kind === 'prompts') return server.sendPromptListChanged();
    if (kind === 'resources') return server.sendResourceListChanged();
    if (!addGrown(server)) server.sendToolListChanged();
  };
}

if (overStdio) {
  serveStdio(buildServer, { legacy: dual ? 'serve' : 'reject' });
  endWithParent();
} else {
  handler = createMcpHandler(buildServer, { legacy: dual ? 'stateless' : 'reject' });
  const serve = toNodeHandler(handler);
  listen((request, response, path) =>
    path === '/mcp' ? serve(request, response) : refuse(response, 404, -32601, `nothing at ${path}`));
}
