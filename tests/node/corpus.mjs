// An independent judge of documents as tools: see `cargo xtask corpus`.
//
//   node corpus.mjs --bare XTASK|--gateway BINARY [--sample N] FILE…
//
// One JSON line for each document.

import path from 'node:path';
import { Bare } from './corpus-bare.mjs';
import { KINDS, problemOf, validatorOf, valueOf } from './corpus-generate.mjs';
import { isUndescribed, operationsOf, parsed, plainPath, Prism, refusalOf } from './corpus-prism.mjs';
import { isNamed, Wire, write, writeBody } from './corpus-styles.mjs';

const words = process.argv.slice(2);
const flags = {};
while (words[0]?.startsWith('--')) flags[words.shift().slice(2)] = words.shift();
const sample = Number(flags.sample ?? 20);

for (const file of words) {
  const verdict = await judge(path.resolve(file)).catch((error) => ({ error: `the judge fails: ${error.stack}` }));
  // A line is longer than a pipe takes at once, and the process ends right after the last one.
  await new Promise((done) => process.stdout.write(`${JSON.stringify({ document: path.basename(file), ...verdict })}\n`, done));
}
process.exit(0);

async function judge(file) {
  const document = parsed(file);
  const prism = await Prism.listen();
  const server = await start(file, prism.url, document);
  try {
    if (server.error) return { loads: false, error: server.error };
    const { tools } = server;
    const all = operationsOf(document, file);
    const inputs = tools.map((it) => JSON.stringify(it.inputSchema).length);
    const outputs = tools.flatMap((it) => (it.outputSchema ? [JSON.stringify(it.outputSchema).length] : []));
    const verdict = {
      loads: true,
      version: document.openapi ?? document.swagger,
      operations: all.length,
      // Nobody can offer what is described in a document that is not there.
      undescribed: all.filter((it) => it.isMissing || isUndescribed(document, file, it)).length,
      missing: all.filter((it) => !it.isMissing && !isUndescribed(document, file, it) && !tools.some((tool) => isToolOf(tool, it))).map((it) => `${it.method} ${it.path}`),
      tools: tools.length,
      skipped: server.findings?.filter((it) => it.severity === 'skipped').map((it) => `${it.operation}: ${it.message}`),
      names: tools.filter((it, at) => !/^[A-Za-z0-9_-]{1,60}$/.test(it.name) || tools.findIndex((other) => other.name === it.name) !== at).map((it) => it.name),
      schemas: tools.flatMap((it) => ['inputSchema', 'outputSchema'].filter((key) => it[key]).flatMap((key) => {
        const problem = problemOf(it[key]);
        return problem ? [`${it.name} ${key}: ${problem}`] : [];
      })),
      inputBytes: sum(inputs),
      outputBytes: sum(outputs),
      outputs: outputs.length,
      listBytes: sum(tools.map((it) => JSON.stringify(it).length + 1)),
      cost: server.cost,
      cases: [],
    };
    try {
      await prism.load(file, document);
    } catch (error) {
      return { ...verdict, prismError: error.message.split('\n')[0] };
    }
    verdict.prismMended = prism.mended;
    for (const tool of sampled(tools, sample)) {
      for (const kind of KINDS) verdict.cases.push(await tried(tool, kind, prism, server, all));
    }
    return verdict;
  } finally {
    await server.stop();
    await prism.stop();
  }
}

function isToolOf(tool, { method, path: template }) {
  const own = tool._meta['io.portcullis/operation'];
  return own.method.toUpperCase() === method.toUpperCase() && (own.path === template || plainPath(own.path) === plainPath(template));
}

async function start(file, url, document) {
  if (flags.bare) return Bare.start(flags.bare, file);
  const { Gateway } = await import('./corpus-gateway.mjs');
  return Gateway.start(flags.gateway, file, url, document);
}

function sum(numbers) {
  return numbers.reduce((total, one) => total + one, 0);
}

/** Evenly spread over the list. */
function sampled(list, count) {
  if (list.length <= count) return list;
  return Array.from({ length: count }, (_, at) => list[Math.floor((at * list.length) / count)]);
}

/** One call; what the judge itself cannot do costs no other. */
async function tried(tool, kind, prism, server, all) {
  try {
    return await tryOut(tool, kind, prism, server, all);
  } catch (error) {
    const { method, path: template } = tool._meta['io.portcullis/operation'];
    return { operation: `${method} ${template}`, tool: tool.name, kind, outcome: 'unjudged', why: error.stack };
  }
}

/** One call, and what a reference client gets for the same operation. */
async function tryOut(tool, kind, prism, server, all) {
  const { method, path: template } = tool._meta['io.portcullis/operation'];
  const operation = prism.operation(method, template);
  const outcome = { operation: `${method} ${template}`, tool: tool.name, kind, features: operation ? featuresOf(operation) : [] };
  if (!operation) return { ...outcome, outcome: 'unknown', why: 'Prism does not know the operation' };

  operation.formats ??= formatsOf(all.find((it) => it.method === method && it.path === template));

  const { validate, why: broken } = validatorOf(tool.inputSchema);
  if (!validate) return { ...outcome, outcome: 'invalid-schema', why: broken };
  const args = valueOf(tool.inputSchema, kind, validate);
  if (args.why) return { ...outcome, outcome: 'not-generated', why: args.why };
  outcome.arguments = args.value;

  prism.requests.length = 0;
  const called = await server.call(tool.name, args.value, prism);
  const [request, ...others] = prism.requests;
  if (!request) return { ...outcome, ...(await countable(operation, kind, args.value, prism)), outcome: 'not-sent', why: called.error };
  outcome.request = shown(request);
  if (others.length) outcome.others = others.length;
  const refusal = refusalOf(request.answer);
  const wire = await Wire.read(operation, request);
  const lost = Object.entries(args.value).filter(([name, value]) => !wire.carries(name, value)).map(([name]) => name);
  if (lost.length) outcome.lost = lost;
  const reference = await countable(operation, kind, args.value, prism);
  return { ...outcome, ...reference, ...(refusal ? { outcome: 'refused', why: refusal } : { outcome: 'accepted' }) };
}

function shown({ method, target, headers, body }) {
  const text = body.toString('utf8');
  const { host: _, connection: __, 'content-length': ___, accept: ____, ...kept } = headers;
  return { method, target, headers: kept, body: text.length > 1500 ? `${text.slice(0, 1500)}…` : text };
}

/** Whether a reference client gets a request of this kind accepted: with values of its own, or with ours. */
async function countable(operation, kind, args, prism) {
  const own = ownValues(operation, kind);
  let why = own.why;
  if (own.values) {
    why = await refused(operation, own, prism);
    if (!why) return { countable: true, reference: 'own' };
  }
  const theirs = placed(operation, args);
  const ours = await refused(operation, theirs, prism);
  if (!ours) return { countable: true, reference: 'same' };
  return { countable: false, referenceOwn: why, referenceSame: ours };
}

async function refused(operation, { values, content, body }, prism) {
  const request = write(operation, values);
  let payload = Buffer.alloc(0);
  if (content && body !== undefined) {
    const written = await writeBody(content, body);
    request.headers['content-type'] = written.contentType;
    payload = Buffer.from(written.body);
  }
  try {
    return refusalOf(await prism.send({ ...request, body: payload }));
  } catch (error) {
    return String(error);
  }
}

/** Values from the document's own schemas, as Prism reads them. */
function ownValues(operation, kind) {
  const values = { path: {}, query: {}, headers: {}, cookie: {} };
  const bundle = operation.__bundled__;
  const one = (schema) => {
    if (schema === undefined) return { value: 'text' };
    const whole = { ...schema, ...(bundle ? { __bundled__: bundle } : {}) };
    delete whole.$schema;
    const { validate, why } = validatorOf(whole);
    return validate ? valueOf(whole, kind, validate, 3) : { why };
  };
  for (const location of Object.keys(values)) {
    for (const parameter of operation.request?.[location] ?? []) {
      if (kind === 'required' && !parameter.required && location !== 'path') continue;
      const [content] = Object.values(parameter.content ?? {});
      const made = one(parameter.schema ?? content?.schema);
      if (made.why) {
        if (parameter.required) return { why: `${parameter.name}: ${made.why}` };
        continue;
      }
      values[location][parameter.name] = made.value;
    }
  }
  const { body } = operation.request ?? {};
  const content = preferred(body?.contents);
  if (!content || (kind === 'required' && !body.required)) return { values };
  const made = one(content.schema);
  if (made.why && body.required) return { why: `body: ${made.why}` };
  return { values, content, body: made.value };
}

function preferred(contents = []) {
  const order = [/json/, /urlencoded/, /multipart/, /xml/, /text/, /./];
  for (const pattern of order) {
    const found = contents.find((it) => pattern.test(it.mediaType));
    if (found) return found;
  }
  return undefined;
}

/** Arguments where their names belong. */
function placed(operation, args) {
  const values = { path: {}, query: {}, headers: {}, cookie: {} };
  const content = preferred(operation.request?.body?.contents);
  const members = {};
  let body;
  for (const [name, value] of Object.entries(args)) {
    const exact = locate(operation, (it) => it.name === name);
    const [location, parameter] = exact ?? locate(operation, (it, where) => isNamed(name, it.name, where)) ?? [];
    if (parameter) values[location][parameter.name] = value;
    else if (content && isNamed(name, 'body', 'request') && content.schema?.properties?.[name] === undefined) body = value;
    else members[name] = value;
  }
  if (content && body === undefined && (Object.keys(members).length || operation.request.body.required)) body = members;
  return { values, content, body };
}

function locate({ request = {} }, holds) {
  for (const [location, singular] of [['path', 'path'], ['query', 'query'], ['headers', 'header'], ['cookie', 'cookie']]) {
    const found = request[location]?.find((it) => holds(it, singular));
    if (found) return [location, found];
  }
  return undefined;
}

/** How the lists of a form of 2.0 are written; Prism's reader knows only some of the formats. */
function formatsOf(found) {
  // What is no list is the document's mistake, and none of the judge's.
  const parameters = [found?.operation.parameters, found?.item.parameters].filter(Array.isArray).flat();
  return parameters.filter((it) => it?.in === 'formData').map((it) => ({ property: it.name, style: it.collectionFormat ?? 'csv' }));
}

/** What an operation uses, for the table by feature. */
function featuresOf({ request = {} }) {
  const features = new Set();
  for (const location of ['path', 'query', 'headers', 'cookie']) {
    for (const parameter of request[location] ?? []) {
      features.add(`in ${location === 'headers' ? 'header' : location}`);
      const { type } = parameter.schema ?? {};
      const compound = [type].flat().find((it) => it === 'array' || it === 'object');
      if (parameter.content) features.add('parameter with content');
      else if (compound) features.add(`${parameter.style} ${parameter.explode ? 'exploded ' : ''}${compound}`);
      else if (['matrix', 'label'].includes(parameter.style)) features.add(parameter.style);
    }
  }
  const content = preferred(request.body?.contents);
  if (content) {
    features.add(`body ${content.mediaType.split(';')[0]}`);
    const schema = JSON.stringify(content.schema ?? {});
    for (const word of ['oneOf', 'anyOf', 'allOf', 'discriminator', 'additionalProperties', 'readOnly']) {
      if (schema.includes(`"${word}"`)) features.add(`body with ${word}`);
    }
    if (schema.includes('#/__bundled__')) features.add('body with references');
  }
  if (!features.size) features.add('no arguments');
  return [...features];
}
