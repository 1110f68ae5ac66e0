// A server of 2026-07-28 alone, over Streamable HTTP, or over stdio with `--stdio`.
//
// With `--dual` it answers `initialize` as well (over HTTP without sessions).

import { randomBytes } from 'node:crypto';
import {
  McpServer, ResourceTemplate, completable, createMcpHandler, createRequestStateCodec, inputRequired,
} from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { endWithParent, listen, refuse } from './serve.mjs';
import { CAPABILITIES, INSTRUCTIONS, addGrown, addToolset } from './toolset.mjs';

const overStdio = process.argv.includes('--stdio');
const dual = process.argv.includes('--dual');
const requestState = createRequestStateCodec({ key: randomBytes(32) });
let handler;

const sdk = {
  ResourceTemplate,
  completable,
  promptArguments: (shape) => z.object(shape),

  async ask(cx, question) {
    const answer = cx.mcpReq.inputResponses?.answer;
    if (answer && cx.mcpReq.requestState()?.question === question) return { answer };
    return {
      pending: inputRequired({
        inputRequests: {
          answer: inputRequired.elicit({
            message: question,
            requestedSchema: { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] },
          }),
        },
        requestState: await requestState.mint({ question }),
      }),
    };
  },
  sample(cx, prompt) {
    return askOnce(cx, inputRequired.createMessage({
      messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
      maxTokens: 100,
    }));
  },
  roots(cx) {
    return askOnce(cx, inputRequired.listRoots());
  },

  notify: (cx, notification) => cx.mcpReq.notify(notification),
  log: (cx, level, data) => cx.mcpReq.log(level, data),
  call: (cx) => ({
    token: cx.mcpReq._meta?.progressToken,
    signal: cx.mcpReq.signal,
    headers: Object.fromEntries(cx.http?.req?.headers ?? []),
  }),
};

async function askOnce(cx, question) {
  const answer = cx.mcpReq.inputResponses?.answer;
  return answer ? { answer } : { pending: inputRequired({ inputRequests: { answer: question } }) };
}

function buildServer() {
  const server = new McpServer(
    { name: 'everything-v2', title: 'Everything (2026-07-28)', version: '2.0.0' },
    { capabilities: CAPABILITIES, instructions: INSTRUCTIONS, requestState: { verify: requestState.verify } },
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
