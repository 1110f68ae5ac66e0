// The same tools, resources and prompts for every server of this directory, whatever its era.
//
// A server hands over `sdk`, what differs between the two major versions of the SDK:
//   ResourceTemplate, completable          classes and functions of that version
//   promptArguments(shape)                 the schema of a prompt's arguments
//   ask(cx, question), sample(cx, prompt), roots(cx)
//                                          → { answer } or, for another round, { pending: result }
//   notify(cx, notification)               on the stream of the call
//   log(cx, level, data)
//   call(cx)                               → { token, signal, headers }
//   changed(kind, uri)                     'tools' | 'prompts' | 'resources' | 'resource'

import { z } from 'zod';
import { pause } from './serve.mjs';

/** How often each tool with an effect has completed, in this process. */
const commits = new Map();
let note = 'the first note';
let grown = 0;

export const NOTE_URI = 'memo://note';
export const TONES = ['friendly', 'formal', 'funny'];

export function commit(name) {
  commits.set(name, (commits.get(name) ?? 0) + 1);
}

export function addToolset(server, sdk) {
  addPlainTools(server, sdk);
  addSpeakingTools(server, sdk);
  addAskingTools(server, sdk);
  addChangingTools(server, sdk);
  addResources(server, sdk);
  addPrompts(server, sdk);
}

export const CAPABILITIES = {
  completions: {},
  logging: {},
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  tools: { listChanged: true },
};

export const INSTRUCTIONS = 'Tools that do as little as possible, each in one way that a gateway must carry.';

// === Tools that only answer ===

function addPlainTools(server, sdk) {
  server.registerTool(
    'echo',
    { title: 'Echo', description: 'Returns its message', inputSchema: z.object({ message: z.string() }), annotations: { readOnlyHint: true } },
    async ({ message }) => says(message),
  );
  server.registerTool(
    'add',
    {
      description: 'Adds two numbers',
      inputSchema: z.object({ a: z.number(), b: z.number() }),
      outputSchema: z.object({ sum: z.number() }),
      annotations: { readOnlyHint: true, idempotentHint: true },
    },
    async ({ a, b }) => structured({ sum: a + b }),
  );
  server.registerTool('fail', { description: 'Always fails' }, async () => ({ ...says('it failed, as asked'), isError: true }));
  server.registerTool(
    'region',
    {
      description: 'Returns its region, which travels in a header as well (2026-07-28)',
      inputSchema: z.object({ region: z.string().meta({ 'x-mcp-header': 'Region' }), query: z.string().optional() }),
    },
    async ({ region }) => says(region),
  );
  server.registerTool('headers', { description: 'Returns the HTTP headers of this call as the server received them' }, async (cx) =>
    structured(sdk.call(cx).headers));
  server.registerTool('environment', { description: 'Returns the environment variables of the server' }, async () => structured({ ...process.env }));
  server.registerTool('commits', { description: 'Returns how often each tool with an effect has completed' }, async () =>
    structured(Object.fromEntries(commits)));
}

// === Tools that speak while they run ===

function addSpeakingTools(server, sdk) {
  server.registerTool(
    'slow',
    {
      description: 'Takes `steps` times `ms` milliseconds and reports each step',
      inputSchema: z.object({ steps: z.number().int().min(1).max(1000).default(3), ms: z.number().int().min(0).max(60000).default(20) }),
    },
    async ({ steps, ms }, cx) => {
      const { token, signal } = sdk.call(cx);
      try {
        for (let step = 1; step <= steps; step++) {
          await pause(ms, signal);
          if (token === undefined) continue;
          await sdk.notify(cx, {
            method: 'notifications/progress',
            params: { progressToken: token, progress: step, total: steps, message: `step ${step}` },
          });
        }
        // Clients of the SDK v1 that get the last progress and the answer in one piece take the
        // answer first, and forget the progress.
        await pause(ms, signal);
      } catch (error) {
        if (signal?.aborted) commit('slow:cancelled');
        throw error;
      }
      commit('slow');
      return says(`${steps} steps`);
    },
  );
  server.registerTool(
    'log',
    { description: 'Logs `message` once at each of three levels', inputSchema: z.object({ message: z.string() }) },
    async ({ message }, cx) => {
      for (const level of ['debug', 'info', 'error']) await sdk.log(cx, level, message);
      return says('logged');
    },
  );
}

// === Tools that ask the client ===

function addAskingTools(server, sdk) {
  const asking = { ask: 'question', sample: 'prompt' };
  for (const [name, argument] of Object.entries(asking)) {
    server.registerTool(
      name,
      { description: `Asks the client (${name}) and returns the answer`, inputSchema: z.object({ [argument]: z.string() }) },
      (args, cx) => answered(name, () => sdk[name](cx, args[argument])),
    );
  }
  server.registerTool('roots', { description: 'Returns the roots of the client' }, (cx) => answered('roots', () => sdk.roots(cx)));
}

async function answered(name, question) {
  const { answer, pending } = await question();
  if (pending) return pending;
  commit(name);
  return says(JSON.stringify(answer));
}

// === Tools that change what the server offers ===

function addChangingTools(server, sdk) {
  server.registerTool(
    'touch',
    { description: `Replaces the text of ${NOTE_URI}`, inputSchema: z.object({ text: z.string() }) },
    async ({ text }) => {
      note = text;
      commit('touch');
      await sdk.changed('resource', NOTE_URI);
      return says('touched');
    },
  );
  server.registerTool('grow', { description: 'Adds one more tool' }, async () => {
    grown += 1;
    commit('grow');
    await sdk.changed('tools');
    return says(`grown_${grown}`);
  });
  server.registerTool(
    'announce',
    { description: 'Says that a list has changed', inputSchema: z.object({ list: z.enum(['tools', 'prompts', 'resources']) }) },
    async ({ list }) => {
      await sdk.changed(list);
      return says(list);
    },
  );
  addGrown(server);
}

/**
 * Registers the tools that `grow` has made since `server` was built and returns whether there were
 * any: a connected server announces by itself what is registered on it.
 */
export function addGrown(server) {
  const before = server.grown ?? 0;
  for (let at = before + 1; at <= grown; at++) {
    const name = `grown_${at}`;
    server.registerTool(name, { description: 'A tool that was not there before' }, async () => says(name));
  }
  server.grown = grown;
  return grown > before;
}

// === Resources and prompts ===

function addResources(server, sdk) {
  server.registerResource('note', NOTE_URI, { description: 'A text that changes', mimeType: 'text/plain' }, async () => ({
    contents: [{ uri: NOTE_URI, mimeType: 'text/plain', text: note }],
  }));
  server.registerResource('blob', 'memo://blob', { description: 'Four bytes', mimeType: 'application/octet-stream' }, async () => ({
    contents: [{ uri: 'memo://blob', mimeType: 'application/octet-stream', blob: 'AAECAw==' }],
  }));
  const ids = ['1', '10', '11', '2'];
  const template = new sdk.ResourceTemplate('memo://item/{id}', {
    list: undefined,
    complete: { id: (typed) => ids.filter((id) => id.startsWith(typed)) },
  });
  server.registerResource('item', template, { description: 'One item', mimeType: 'application/json' }, async (uri, { id }) => ({
    contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ id }) }],
  }));
}

function addPrompts(server, sdk) {
  server.registerPrompt('plain', { description: 'A prompt without arguments' }, async () => ({ messages: [user('Say something.')] }));
  server.registerPrompt(
    'greet',
    {
      title: 'Greet',
      description: 'A greeting for somebody',
      argsSchema: sdk.promptArguments({
        name: z.string().describe('Who is greeted'),
        tone: sdk.completable(z.string().describe('In which tone'), (typed) => TONES.filter((tone) => tone.startsWith(typed ?? ''))),
      }),
    },
    async ({ name, tone }) => ({ messages: [user(`Greet ${name} in a ${tone} tone.`)] }),
  );
}

function user(text) {
  return { role: 'user', content: { type: 'text', text } };
}

// === Short forms ===

export function says(text) {
  return { content: [{ type: 'text', text }] };
}

function structured(value) {
  return { ...says(JSON.stringify(value)), structuredContent: value };
}
