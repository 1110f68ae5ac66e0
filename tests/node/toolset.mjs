// The same tools, resources and prompts for every server of this directory, whatever its era.
//
// A server hands over `sdk`, what differs between the two major versions of the SDK:
//   version                                the protocol version whose tools it offers
//   ResourceTemplate, completable          classes and functions of that version
//   promptArguments(shape)                 the schema of a prompt's arguments
//   ask(cx, questions, { bound, key, inTurn, stateless })
//                                          → { answers } by the keys of `questions` or, for another
//                                          round, { pending: result }
//   longTask(server)                       adds the tool that may become a task
//   notify(cx, notification)               on the stream of the call
//   log(cx, level, data)
//   call(cx)                               → { token, signal, headers }
//   changed(kind, uri)                     'tools' | 'prompts' | 'resources' | 'resource'

import { z } from 'zod';
import { commit, commits, request, requests } from './counters.mjs';
import { addPages } from './paging.mjs';
import { flag, pause } from './serve.mjs';

let note = 'the first note';
let grown = 0;

export const NOTE_URI = 'memo://note';
export const TONES = ['friendly', 'formal', 'funny'];
/** How long messages on another stream are given before the answer of their call. */
const LOGGED_MS = 50;
const CONNECT_URL = 'https://example.com/connect';

export function addToolset(server, sdk) {
  addPlainTools(server, sdk);
  addContentTools(server, sdk);
  addSpeakingTools(server, sdk);
  addAskingTools(server, sdk);
  addChangingTools(server, sdk);
  addResources(server, sdk);
  addPrompts(server, sdk);
  const size = Number(flag('--page-size') ?? 0);
  if (size > 0) addPages(server, size);
}

export const CAPABILITIES = {
  completions: {},
  logging: {},
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  tools: { listChanged: true },
};

export const INSTRUCTIONS = 'Tools that do as little as possible, each in one way that a gateway must carry.';

// === Counting ===

const key = z.string().optional().describe('Counts this call apart from others');

/** Registers a tool whose calls are counted, those with a `key` apart as well. */
export function addTool(server, name, { input, ...config }, run) {
  server.registerTool(name, { ...config, inputSchema: keyed(input) }, async (args, cx) => {
    request(name, args.key);
    return run(args, cx);
  });
}

export function keyed(input) {
  return z.object({ ...input, key });
}

/** A tool without an effect of its own: it has one for whoever gives it a `key`. */
function addAnsweringTool(server, name, config, run) {
  addTool(server, name, config, async (args, cx) => {
    const answer = await run(args, cx);
    if (args.key !== undefined) commit(name, args.key);
    return answer;
  });
}

// === Tools that only answer ===

function addPlainTools(server, sdk) {
  addAnsweringTool(
    server,
    'echo',
    { title: 'Echo', description: 'Returns its message', input: { message: z.string() }, annotations: { readOnlyHint: true } },
    async ({ message }) => says(message),
  );
  addTool(server, 'fail', { description: 'Always fails', input: {} }, async () => ({ ...says('it failed, as asked'), isError: true }));
  addAnsweringTool(
    server,
    'region',
    {
      description: 'Returns its region, which travels in a header as well (2026-07-28)',
      input: { region: z.string().meta({ 'x-mcp-header': 'Region' }), query: z.string().optional() },
    },
    async ({ region }) => says(region),
  );
  server.registerTool('headers', { description: 'Returns the HTTP headers of this call as the server received them' }, async (cx) =>
    structured(sdk.call(cx).headers));
  server.registerTool('environment', { description: 'Returns the environment variables of the server' }, async () => structured({ ...process.env }));
  server.registerTool('commits', { description: 'Returns how often each tool with an effect has completed' }, async () => structured(commits()));
  server.registerTool('requests', { description: 'Returns how often each tool has been called' }, async () => structured(requests()));
}

// === Tools with special content ===

function addContentTools(server, sdk) {
  /** Before there was structured content, the same is said in text alone. */
  const addStructured = (name, { outputSchema, ...config }, run) => {
    const has = sdk.version >= '2025-06-18';
    addAnsweringTool(server, name, has ? { ...config, outputSchema } : config, async (args) => {
      const value = run(args);
      return has ? structured(value) : says(JSON.stringify(value));
    });
  };
  addStructured(
    'add',
    {
      description: 'Adds two numbers',
      input: { a: z.number(), b: z.number() },
      outputSchema: z.object({ sum: z.number() }),
      annotations: { readOnlyHint: true, idempotentHint: true },
    },
    ({ a, b }) => ({ sum: a + b }),
  );
  addStructured(
    'structured',
    {
      description: 'Returns an object',
      input: {},
      outputSchema: z.object({ answer: z.number(), words: z.array(z.string()), nested: z.object({ deep: z.null() }) }),
    },
    () => ({ answer: 42, words: ['forty', 'two'], nested: { deep: null } }),
  );
  if (sdk.version >= '2026-07-28') {
    addStructured('structured_list', { description: 'Returns a list', input: {}, outputSchema: z.array(z.number()) }, () => [1, 2, 3]);
  }
  addAnsweringTool(server, 'rich', { description: 'Returns content of every kind', input: {} }, async () => ({ content: everyKind(sdk.version) }));
}

function everyKind(version) {
  const content = [
    { type: 'text', text: 'every kind' },
    // A picture of one pixel, and four samples of silence.
    { type: 'image', mimeType: 'image/png', data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=' },
  ];
  if (version >= '2025-03-26') content.push({ type: 'audio', mimeType: 'audio/wav', data: 'UklGRigAAABXQVZFZm10IBAAAAABAAEARKwAAESsAAABAAgAZGF0YQQAAACAgICA' });
  if (version >= '2025-06-18') content.push({ type: 'resource_link', uri: NOTE_URI, name: 'note', mimeType: 'text/plain' });
  content.push({ type: 'resource', resource: { uri: 'memo://item/1', mimeType: 'application/json', text: '{"id":"1"}' } });
  return content;
}

// === Tools that speak while they run ===

function addSpeakingTools(server, sdk) {
  addTool(
    server,
    'slow',
    {
      description: 'Takes `steps` times `ms` milliseconds and reports each step',
      input: { steps: z.number().int().min(1).max(1000).default(3), ms: z.number().int().min(0).max(60000).default(20) },
    },
    async ({ steps, ms, key }, cx) => {
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
        if (signal?.aborted) commit('slow:cancelled', key);
        throw error;
      }
      commit('slow', key);
      return says(`${steps} steps`);
    },
  );
  addAnsweringTool(
    server,
    'log',
    { description: 'Logs `message` once at each of three levels', input: { message: z.string() } },
    async ({ message }, cx) => {
      for (const level of ['debug', 'info', 'error']) await sdk.log(cx, level, message);
      // The SDK v1 logs on the session's own stream, and who reads both may see the answer first.
      await pause(LOGGED_MS);
      return says('logged');
    },
  );
}

// === Tools that ask the client ===

/** What is asked, as the parameters of 2026-07-28; a legacy server adds what its version wants. */
const QUESTIONS = {
  form: (message = 'What is the answer?') => ({
    method: 'elicitation/create',
    params: {
      mode: 'form',
      message,
      requestedSchema: { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] },
    },
  }),
  url: (url = CONNECT_URL) => ({ method: 'elicitation/create', params: { mode: 'url', message: 'Connect your account', url } }),
  sample: (text = 'What is the answer?') => ({
    method: 'sampling/createMessage',
    params: { messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens: 100 },
  }),
  roots: () => ({ method: 'roots/list' }),
};

/** One question of each kind, by kind. */
export function questionsOf(kinds) {
  return Object.fromEntries(kinds.map((kind) => [kind, QUESTIONS[kind]()]));
}

/** The argument that names what a tool asks for, of what the version has. */
export function kindsOf(version) {
  const kinds = ['sample', 'roots', ...(version >= '2025-06-18' ? ['form'] : []), ...(version >= '2025-11-25' ? ['url'] : [])];
  return z.array(z.enum(kinds)).min(1).max(kinds.length).describe('What is asked for');
}

function addAskingTools(server, sdk) {
  const asksOne = (name, kind, argument, stateless) => {
    const input = argument ? { [argument]: argument === 'url' ? z.string().optional() : z.string() } : {};
    addTool(server, name, { description: `Asks the client (${name}) and returns the answer`, input }, async (args, cx) => {
      const questions = { answer: QUESTIONS[kind](args[argument]) };
      const { answers, pending } = await sdk.ask(cx, questions, { bound: [name, args], key: args.key, stateless });
      if (pending) return pending;
      commit(name, args.key);
      return says(JSON.stringify(answers.answer));
    });
  };
  const usual = sdk.version >= '2025-06-18' ? ['form', 'sample'] : ['sample', 'roots'];
  const kinds = kindsOf(sdk.version).default(usual);
  const asksSeveral = (name, inTurn) =>
    addTool(
      server,
      name,
      { description: `Asks the client several questions, ${inTurn ? 'in turn' : 'at once'}`, input: { kinds } },
      async ({ kinds, key }, cx) => {
        const { answers, pending } = await sdk.ask(cx, questionsOf(kinds), { bound: [name, kinds, key], key, inTurn });
        if (pending) return pending;
        commit(name, key);
        return says(JSON.stringify(answers));
      },
    );
  if (sdk.version >= '2025-06-18') asksOne('ask', 'form', 'question');
  if (sdk.version >= '2025-11-25') asksOne('ask_url', 'url', 'url');
  asksOne('sample', 'sample', 'prompt', true);
  asksOne('roots', 'roots', undefined, true);
  asksSeveral('ask_two', false);
  asksSeveral('ask_twice', true);
  sdk.longTask(server);
}

// === Tools that change what the server offers ===

function addChangingTools(server, sdk) {
  addTool(server, 'touch', { description: `Replaces the text of ${NOTE_URI}`, input: { text: z.string() } }, async ({ text, key }) => {
    note = text;
    commit('touch', key);
    await sdk.changed('resource', NOTE_URI);
    return says('touched');
  });
  addTool(server, 'grow', { description: 'Adds one more tool', input: {} }, async ({ key }) => {
    grown += 1;
    commit('grow', key);
    await sdk.changed('tools');
    return says(`grown_${grown}`);
  });
  addAnsweringTool(
    server,
    'announce',
    { description: 'Says that a list has changed', input: { list: z.enum(['tools', 'prompts', 'resources']) } },
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

export function structured(value) {
  return { ...says(JSON.stringify(value)), structuredContent: value };
}
