// What every HTTP test server in this directory shares: listening, the ready line, checks, an end.

import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { localhostHostValidation, localhostOriginValidation } from '@modelcontextprotocol/node';

const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** Starts `listener` on 127.0.0.1:$PORT (0 or absent: any free port) and prints the ready line. */
export function listen(listener, path = '/mcp') {
  const hostIsLocal = localhostHostValidation();
  const originIsLocal = localhostOriginValidation();
  const server = http.createServer(async (request, response) => {
    try {
      // Both answer the request themselves when they refuse it.
      if (!hostIsLocal(request, response) || !originIsLocal(request, response)) return;
      await listener(request, response, new URL(request.url, 'http://localhost').pathname);
    } catch (error) {
      console.error(error);
      if (!response.headersSent) refuse(response, 500, -32603, 'internal error');
      else response.destroy();
    }
  });
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    const origin = `http://127.0.0.1:${server.address().port}`;
    console.log(JSON.stringify({ listening: `${origin}${path}` }));
  });
  endWithParent();
  return server;
}

/** Ends the process on SIGTERM and SIGINT, and with `--exit-with-stdin` when the parent is gone. */
export function endWithParent() {
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
  if (process.argv.includes('--exit-with-stdin')) {
    process.stdin.resume();
    process.stdin.on('end', () => process.exit(0));
  }
}

/** The value of a flag of the command line, `--name VALUE` or `--name=VALUE`. */
export function flag(name) {
  const at = process.argv.findIndex((word) => word === name || word.startsWith(`${name}=`));
  if (at < 0) return undefined;
  const [, value = process.argv[at + 1]] = process.argv[at].split(/=(.*)/s);
  if (value === undefined) throw new Error(`${name} needs a value`);
  return value;
}

/** The parsed JSON body, or `undefined` after having answered 400 or 413. */
export async function readJson(request, response) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) return refuse(response, 413, -32600, 'body too large');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return refuse(response, 400, -32700, 'the body is not JSON');
  }
}

/** Answers with a JSON-RPC error that belongs to no request. */
export function refuse(response, status, code, message) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } });
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

/**
 * Sessions of a Streamable HTTP server up to 2025-11-25: which request belongs to which transport.
 *
 * `makeTransport(options)` builds the SDK's transport and `connect(transport)` gives it a server.
 */
export class Sessions {
  #live = new Map();

  constructor({ makeTransport, connect, isInitialize, options = {} }) {
    Object.assign(this, { makeTransport, connect, isInitialize, options });
  }

  async handle(request, response, body) {
    const id = request.headers['mcp-session-id'];
    const known = this.#live.get(id);
    if (known) return known.handleRequest(request, response, body);
    if (id) return refuse(response, 404, -32001, 'session not found');
    if (!this.isInitialize(body)) return refuse(response, 400, -32000, 'a session id is required');

    const transport = this.makeTransport({
      ...this.options,
      sessionIdGenerator: randomUUID,
      eventStore: new EventLog(),
      onsessioninitialized: (created) => this.#live.set(created, transport),
    });
    transport.onclose = () => this.#live.delete(transport.sessionId);
    await this.connect(transport);
    return transport.handleRequest(request, response, body);
  }
}

/** Events of one session, kept for a client that comes back with `Last-Event-ID`. */
export class EventLog {
  static EVENTS_MAX = 1000;
  #events = [];
  #count = 0;

  async storeEvent(stream, message) {
    const id = `${stream}~${++this.#count}`;
    this.#events.push({ id, stream, message });
    if (this.#events.length > EventLog.EVENTS_MAX) this.#events.shift();
    return id;
  }

  async getStreamIdForEventId(id) {
    return this.#events.find((event) => event.id === id)?.stream;
  }

  async replayEventsAfter(lastId, { send }) {
    const start = this.#events.findIndex((event) => event.id === lastId);
    const stream = this.#events[start]?.stream ?? lastId.slice(0, lastId.lastIndexOf('~'));
    for (const event of this.#events.slice(start + 1)) {
      // A priming event is stored as an empty object; there is nothing in it to replay.
      if (event.stream === stream && event.message?.jsonrpc) await send(event.id, event.message);
    }
    return stream;
  }
}

/** Resolves after `ms` milliseconds, or rejects at once when `signal` is aborted. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(new Error('cancelled'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
