// Prism as judge: it mocks a document and says of each request what violates it. A recorder stands
// before it, so that everything that reaches it is known byte by byte.

import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parse } from '@stoplight/yaml';

// Prism is CommonJS throughout.
const require = createRequire(import.meta.url);
const { createLogger } = require('@stoplight/prism-core');
const { getHttpOperationsFromSpec } = require('@stoplight/prism-http');
const { createServer } = require('@stoplight/prism-http-server');

const ANSWER_MS_MAX = 20_000;
const METHODS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query']);

/** A document as data, whatever it is written in. */
export const parsed = (file) => parse(fs.readFileSync(file, 'utf8'));

/** All operations of a document by our own count: `METHOD /path`; what cannot be read counts `null`. */
export function operationsOf(document, file) {
  const found = [];
  for (const [template, written] of Object.entries(document?.paths ?? {})) {
    if (!template.startsWith('/')) continue;
    const item = resolve(document, written, file);
    if (item === undefined) {
      found.push({ method: '?', path: template, isMissing: true });
      continue;
    }
    for (const [method, operation] of Object.entries(item ?? {})) {
      if (!METHODS.has(method) || operation === null || typeof operation !== 'object') continue;
      const isMissing = resolve(document, operation, file) === undefined;
      found.push({ method: method.toUpperCase(), path: template, operation, item, isMissing });
    }
    for (const [method, operation] of Object.entries(item?.additionalOperations ?? {})) {
      found.push({ method, path: template, operation, item });
    }
  }
  return found;
}

function resolve(document, value, file, depth = 0) {
  if (value === null || typeof value !== 'object' || typeof value.$ref !== 'string') return value;
  if (depth > 20) return undefined;
  const [place, pointer = ''] = value.$ref.split('#');
  let root = document;
  let from = file;
  if (place !== '') {
    from = path.resolve(path.dirname(file), decodeURIComponent(place));
    if (/^\w+:/.test(place) || !fs.existsSync(from)) return undefined;
    root = parsed(from);
  }
  const keys = pointer.split('/').slice(1).map((key) => decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~'));
  const target = keys.reduce((one, key) => one?.[key], root);
  return target === undefined ? undefined : resolve(root, target, from, depth + 1);
}

/** Whether a request of this operation is described, in part, by something that is not there. */
export function isUndescribed(document, file, { operation, item }) {
  const seen = new Set();
  const walk = (one, depth) => {
    if (one === null || typeof one !== 'object' || depth > 200) return false;
    if (typeof one.$ref === 'string') {
      if (seen.has(one.$ref)) return false;
      seen.add(one.$ref);
      const target = resolve(document, one, file);
      // What lies in other documents is not followed: it is there, or it is not.
      return target === undefined || (one.$ref.startsWith('#') && walk(target, depth + 1));
    }
    return Object.values(one).some((it) => walk(it, depth + 1));
  };
  return walk([item.parameters ?? [], operation.parameters ?? [], operation.requestBody ?? {}], 0);
}

/** A path without the decorations of RFC 6570, which OpenAPI does not know: `{.name*}`. */
export const plainPath = (path) => path.split('#')[0].replace(/\{[.;?/#+]?([^}*]*)\*?\}/g, '{$1}');

/** A copy in which what refers to nothing is empty: Prism takes no such document. */
function mended(document, file) {
  const walk = (one, depth) => {
    if (Array.isArray(one)) return one.map((it) => walk(it, depth + 1));
    if (one === null || typeof one !== 'object') return one;
    if (typeof one.$ref === 'string' && (!one.$ref.startsWith('#') || resolve(document, one, file) === undefined)) return {};
    return Object.fromEntries(Object.entries(one).map(([key, it]) => [key, walk(it, depth + 1)]));
  };
  return walk(document, 0);
}

/** Fails the request that Prism is working on when Prism throws out of all of its own nets. */
let onCrash;
for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error) => {
    if (!String(error?.stack).includes('@stoplight')) throw error;
    onCrash?.(error);
  });
}

/** One document, mocked. */
export class Prism {
  /** Every request that came, oldest first. */
  requests = [];

  /** The recorder alone: what comes is answered once a document is loaded. */
  static async listen() {
    const prism = new Prism();
    prism.agent = new http.Agent({ keepAlive: true });
    prism.recorder = http.createServer((request, response) => prism.#pass(request, response));
    await new Promise((ready) => prism.recorder.listen(0, '127.0.0.1', ready));
    prism.url = `http://127.0.0.1:${prism.recorder.address().port}`;
    return prism;
  }

  async load(file, document) {
    try {
      this.operations = await getHttpOperationsFromSpec(file);
    } catch (error) {
      this.mended = error.message.split('\n')[0];
      this.operations = await getHttpOperationsFromSpec(mended(document, file));
    }
    this.server = createServer(this.operations, {
      cors: false,
      // A reference client has no credentials; whether ours are right is judged elsewhere.
      config: { validateRequest: true, validateResponse: false, checkSecurity: false, errors: false, isProxy: false, mock: { dynamic: false }, upstreamProxy: undefined },
      components: { logger: createLogger('judge', { enabled: false }) },
    });
    this.target = await this.server.listen(0, '127.0.0.1');
  }

  /** Prism's operation of a method and template. */
  operation(method, template) {
    const same = this.operations.filter((it) => it.method === method.toLowerCase());
    return same.find((it) => it.path === template) ?? same.find((it) => plainPath(it.path) === plainPath(template));
  }

  async #pass(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const record = { method: request.method, target: request.url, headers: request.headers, body };
    this.requests.push(record);
    try {
      const answer = await this.send(record);
      record.answer = answer;
      const { 'transfer-encoding': _, connection: __, 'content-length': ___, ...headers } = answer.headers;
      response.writeHead(answer.status || 502, headers).end(answer.body);
    } catch (error) {
      record.answer = { status: 0, headers: {}, body: Buffer.from(String(error)) };
      response.destroy();
    }
  }

  /** Sends a request to Prism itself. */
  send({ method, target, headers, body }) {
    return new Promise((done, failed) => {
      const { 'transfer-encoding': _, connection: __, ...kept } = headers;
      const length = body.length || !['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method) ? { 'content-length': String(body.length) } : {};
      const options = { method, path: target, headers: { ...kept, ...length }, agent: this.agent, maxHeaderSize: 1 << 20, timeout: ANSWER_MS_MAX };
      const onward = http.request(this.target, options, async (response) => {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        end(done, { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) });
      });
      const crashed = (error) => {
        end(done, { status: 0, headers: {}, body: Buffer.from(`Prism fails: ${error}`) });
        onward.destroy();
      };
      const end = (how, what) => {
        if (onCrash === crashed) onCrash = undefined;
        how(what);
      };
      onCrash = crashed;
      onward.on('timeout', () => onward.destroy(new Error('Prism does not answer')));
      onward.on('error', (error) => end(failed, error));
      onward.end(body);
    });
  }

  async stop() {
    this.agent.destroy();
    this.recorder.closeAllConnections();
    this.recorder.close();
    await this.server?.close();
  }
}

const REFUSALS = /#(UNPROCESSABLE_ENTITY|NO_PATH_MATCHED_ERROR|NO_METHOD_MATCHED_ERROR|NO_SERVER_MATCHED_ERROR|UNAUTHORIZED|INVALID_CONTENT_TYPE|NO_RESOURCE_PROVIDED_ERROR|UNKNOWN)$/;

/** Why Prism refuses a request, or nothing: its violations in one line. */
export function refusalOf({ status, headers, body }) {
  const violations = headers['sl-violations'];
  if (violations) {
    try {
      const errors = JSON.parse(violations).filter((it) => it.location[0] === 'request' && it.severity === 'Error');
      if (errors.length) return errors.map((it) => `${it.location.slice(1).join('.')}: ${it.message}`).join('; ').slice(0, 600);
    } catch {
      if (violations.includes('"request"')) return violations.slice(0, 600);
    }
  }
  if (status === 0) return body.toString();
  if (String(headers['content-type']).startsWith('application/problem+json')) {
    try {
      const problem = JSON.parse(body.toString('utf8'));
      // It has found nothing wrong and cannot write its own answer.
      if (/^Cannot find serializer/.test(problem.title)) return undefined;
      if (REFUSALS.test(problem.type ?? '')) {
        const errors = (problem.validation ?? []).map((it) => `${it.location?.slice(1).join('.')}: ${it.message}`);
        return `${problem.type.split('#')[1]} ${errors.join('; ') || problem.detail || problem.title}`.slice(0, 600);
      }
    } catch {
      return undefined;
    }
  }
  return undefined;
}
