// Real HTTP APIs of npm that publish an OpenAPI document: `node services.mjs todo|files FOLDER`.
//
// `todo`: the to-do list of LoopBack, OpenAPI 3.0, filters as JSON in the query. `files`: its file
// store, uploads as multipart/form-data. FOLDER is empty and keeps what they store; the document is
// at `/openapi.json`. They speak over HTTP as they come; only port and folder are chosen here.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { endWithParent } from './serve.mjs';

const PACKAGES = { todo: '@loopback/example-todo', files: '@loopback/example-file-transfer' };

const [name, folder] = process.argv.slice(2);
if (!PACKAGES[name] || !folder) {
  console.error('usage: todo|files FOLDER');
  process.exit(2);
}
// The list writes `data/db.json` below the working directory.
mkdirSync(join(folder, 'data'), { recursive: true });
process.chdir(folder);

// What the packages print themselves is no line of ours.
const say = console.log;
console.log = console.error;
const { main } = createRequire(import.meta.url)(PACKAGES[name]);
const app = await main({ fileStorageDirectory: folder, rest: { port: Number(process.env.PORT ?? 0), host: '127.0.0.1' } });
endWithParent();
say(JSON.stringify({ listening: app.restServer.url }));
