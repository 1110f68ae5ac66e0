// The gateway with one document, and the official client before it.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const READY_MS_MAX = 60_000;
const CALL_MS_MAX = 30_000;
/** The kernel counts a process's time in these (`getconf CLK_TCK`, 100 wherever Linux runs). */
const TICK_MS = 10;

export class Gateway {
  /** Starts it with a document whose API is at `url`. */
  static async start(binary, file, url, document) {
    const gateway = new Gateway();
    gateway.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'corpus-'));
    const port = await freePort();
    const configuration = {
      listen: `127.0.0.1:${port}`,
      admin: 'off',
      data_dir: path.join(gateway.folder, 'state'),
      servers: { d: { openapi: file, url, credentials: { schemes: credentials(document) } } },
    };
    if (!Object.keys(configuration.servers.d.credentials.schemes).length) delete configuration.servers.d.credentials;
    const written = path.join(gateway.folder, 'gateway.json');
    fs.writeFileSync(written, JSON.stringify(configuration));
    const log = fs.openSync(path.join(gateway.folder, 'gateway.log'), 'w');
    gateway.child = spawn(binary, ['run', written], { cwd: gateway.folder, stdio: ['ignore', log, log] });
    gateway.client = new Client({ name: 'corpus', version: '1.0.0' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    try {
      await gateway.#ready(port);
      await gateway.client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/servers/d/mcp`)), { timeout: READY_MS_MAX });
      gateway.tools = (await gateway.client.listTools({}, { timeout: READY_MS_MAX })).tools;
      gateway.cost = gateway.#cost();
    } catch (error) {
      gateway.error = `${error.message}\n${gateway.#log()}`;
    }
    return gateway;
  }

  async #ready(port) {
    const deadline = Date.now() + READY_MS_MAX;
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`the gateway ended with ${this.child.exitCode}`);
      const is = await fetch(`http://127.0.0.1:${port}/readyz`).then((answer) => answer.ok, () => false);
      if (is) return;
      if (Date.now() > deadline) throw new Error('the gateway is not ready');
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  #log() {
    return fs.readFileSync(path.join(this.folder, 'gateway.log'), 'utf8').split('\n').filter((line) => /warn|error/i.test(line)).slice(-5).join('\n');
  }

  /** CPU time so far and most memory so far, of the gateway; only Linux tells. */
  #cost() {
    try {
      const fields = fs.readFileSync(`/proc/${this.child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      const peak = /VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${this.child.pid}/status`, 'utf8'));
      return { cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, peakKiB: Number(peak[1]) };
    } catch {
      return undefined;
    }
  }

  /** Calls a tool; what it answers matters only where no request came of it. */
  async call(name, args) {
    try {
      const result = await this.client.callTool({ name, arguments: args }, { timeout: CALL_MS_MAX });
      const text = result.content?.find((it) => it.type === 'text')?.text ?? '';
      return { error: result.isError ? text.slice(0, 600) : undefined };
    } catch (error) {
      return { error: error.message.slice(0, 600) };
    }
  }

  async stop() {
    await this.client.close().catch(() => {});
    if (this.child.exitCode === null) {
      this.child.kill();
      await new Promise((done) => this.child.once('exit', done));
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Something for every security scheme of the document. */
function credentials(document) {
  const schemes = document?.components?.securitySchemes ?? document?.securityDefinitions ?? {};
  // The name of the scheme that a parameter `Authorization` becomes.
  const made = /"name":"authorization"/i.test(JSON.stringify(document)) ? { Authorization: { value: 'corpus' } } : {};
  for (const [name, scheme] of Object.entries(schemes)) {
    const isBasic = scheme?.type === 'basic' || (scheme?.type === 'http' && String(scheme.scheme).toLowerCase() === 'basic');
    if (isBasic) made[name] = { username: 'corpus', password: 'corpus' };
    else if (scheme?.type !== 'mutualTLS') made[name] = { value: 'corpus' };
  }
  return made;
}

function freePort() {
  return new Promise((done, failed) => {
    const server = net.createServer();
    server.on('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
