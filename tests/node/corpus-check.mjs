// Checks the judge itself: what the reference client writes is found on the wire, for every place and
// style; what is changed on its way, or not escaped, is not.

import assert from 'node:assert/strict';
import { problemOf, validatorOf, valueOf } from './corpus-generate.mjs';
import { Wire, write, writeBody } from './corpus-styles.mjs';

const TRICKY = 'a b&c=d/e?f+g%h';
const VALUES = {
  text: [TRICKY, 'a b&c=d/e?f+g%i'],
  number: [12.5, 12.6],
  array: [[TRICKY, 'x'], ['x', TRICKY]],
  object: [{ a: TRICKY, b: 'x' }, { a: 'x', b: TRICKY }],
};
const STYLES = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
  headers: ['simple'],
  cookie: ['form'],
};

const read = ({ target, headers }, operation, body = '') =>
  Wire.read(operation, { target, headers: Object.fromEntries(Object.entries(headers).map(([key, text]) => [key.toLowerCase(), text])), body: Buffer.from(body) });

for (const [location, styles] of Object.entries(STYLES)) {
  for (const style of styles) {
    for (const explode of [false, true]) {
      for (const [kind, [value, other]] of Object.entries(VALUES)) {
        const isList = style.endsWith('Delimited') || style === 'deepObject';
        // Of these the specification's tables have no more than lists without `explode`, and objects.
        if (isList && (kind !== (style === 'deepObject' ? 'object' : 'array') || (explode && style !== 'deepObject'))) continue;
        // A header escapes nothing, and these texts have what separates.
        if (location === 'headers' && explode && kind === 'object') continue;
        const what = `${location} ${style} ${explode} ${kind}`;
        const parameter = { name: 'it', style, explode };
        const operation = { method: 'get', path: location === 'path' ? '/x/{it}/y' : '/x', request: { [location]: [parameter] } };
        const values = { path: {}, query: {}, headers: {}, cookie: {}, [location]: { it: value } };
        const request = write(operation, values);
        const wire = await read(request, operation);
        assert(wire.carries('it', value), `${what}: ${JSON.stringify(request)}`);
        assert(!wire.carries('it', other), `${what} carries something else: ${JSON.stringify(request)}`);
      }
    }
  }
}

const plain = { method: 'get', path: '/x/{it}', request: { path: [{ name: 'it', style: 'simple' }], query: [{ name: 'q', style: 'form', explode: true }] } };
const unescaped = await read({ target: `/x/${TRICKY}?q=${TRICKY}`, headers: {} }, plain);
assert(!unescaped.carries('it', TRICKY), 'a path that is not escaped');
assert(!unescaped.carries('q', TRICKY), 'a query that is not escaped');

for (const [mediaType, value, other] of [
  ['application/json', { a: { b: [1, null, TRICKY] } }, { a: { b: [1, null, 'x'] } }],
  ['application/x-www-form-urlencoded', { a: TRICKY, b: ['x', TRICKY] }, { a: 'x', b: ['x'] }],
  ['multipart/form-data', { a: TRICKY, b: 7 }, { a: 'x', b: 8 }],
]) {
  const operation = { method: 'post', path: '/x', request: { body: { contents: [{ mediaType }] } } };
  const { contentType, body } = await writeBody({ mediaType }, value);
  const wire = await read({ target: '/x', headers: { 'content-type': contentType } }, operation, body);
  for (const [name, one] of Object.entries(value)) assert(wire.carries(name, one), `${mediaType} ${name}`);
  for (const [name, one] of Object.entries(other)) assert(!wire.carries(name, one), `${mediaType} ${name} carries something else`);
}

assert.equal(problemOf({ type: 'object', properties: { a: { $ref: '#/$defs/A' } }, $defs: { A: { type: 'string' } } }), undefined);
assert.match(problemOf({ type: 'object', properties: { a: { $ref: '#/$defs/B' } }, $defs: { A: {} } }), /reference/);
assert.match(problemOf({ type: 'object', properties: { a: { $ref: 'other.json' } } }), /reference/);
assert.match(problemOf({ type: 'any' }), /meta-schema/);

const schema = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string', enum: ['x'] } }, required: ['a'] };
const { validate } = validatorOf(schema);
assert.deepEqual(Object.keys(valueOf(schema, 'required', validate).value), ['a']);
assert.deepEqual(valueOf(schema, 'tricky', validate).value, { a: TRICKY, b: 'x' });
