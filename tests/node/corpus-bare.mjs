// The crate alone: a child that turns arguments into requests, which are sent from here.

import { spawn } from 'node:child_process';
import readline from 'node:readline';

export class Bare {
  static async start(command, file) {
    const bare = new Bare();
    bare.child = spawn(command, ['corpus', '--bare-document', file], { stdio: ['pipe', 'pipe', 'inherit'] });
    bare.lines = readline.createInterface({ input: bare.child.stdout })[Symbol.asyncIterator]();
    const head = await bare.#line();
    Object.assign(bare, head);
    return bare;
  }

  async #line() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the child has ended');
    return JSON.parse(value);
  }

  /** What became of a call; the request is made by the recorder's client. */
  async call(name, args, { url }) {
    this.child.stdin.write(`${JSON.stringify({ tool: name, arguments: args })}\n`);
    const built = await this.#line();
    if (built.error) return { error: built.error };
    const headers = {};
    for (const [key, value] of built.headers) headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
    if (built.contentType) headers['content-type'] = built.contentType;
    const body = Buffer.from(built.body, 'base64');
    const { request } = await import('node:http');
    return new Promise((done) => {
      const length = body.length ? { 'content-length': String(body.length) } : {};
      const out = request(url, { method: built.method, path: built.target, headers: { ...headers, ...length } }, async (response) => {
        for await (const _ of response);
        done({});
      });
      out.on('error', (error) => done({ error: String(error) }));
      out.end(body);
    });
  }

  async stop() {
    this.child.stdin.end();
    await new Promise((done) => (this.child.exitCode === null ? this.child.once('exit', done) : done()));
  }
}
