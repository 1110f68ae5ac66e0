// How OpenAPI writes values of parameters and bodies, read from the specification's tables and not
// from the gateway: a reference client writes with it, and what is on the wire is read with it.
//
// Parameters are those of `@stoplight/http-spec`: { name, style, explode, schema, content? }.

import { isDeepStrictEqual } from 'node:util';

const DELIMITERS = { simple: ',', form: ',', commaDelimited: ',', spaceDelimited: ' ', pipeDelimited: '|', tabDelimited: '\t', csv: ',', ssv: ' ', tsv: '\t', pipes: '|' };

/** Percent-encodes all but RFC 3986's unreserved characters. */
export function escape(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** The text of a leaf; what no style can nest is JSON. */
export function leaf(value) {
  if (value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** The pairs, not escaped yet except for delimiters, that a query, cookie or form has for a value. */
function pairsOf({ name, style = 'form', explode = style === 'form' }, value) {
  if (style === 'deepObject' && typeof value === 'object' && value !== null) {
    const pairs = [];
    const walk = (key, one) => {
      if (isObject(one)) for (const [inner, it] of Object.entries(one)) walk(`${key}[${inner}]`, it);
      else if (Array.isArray(one)) for (const it of one) walk(key, it);
      else pairs.push([key, escape(leaf(one))]);
    };
    walk(name, value);
    return pairs;
  }
  if (Array.isArray(value)) {
    if (explode) return value.map((one) => [name, escape(leaf(one))]);
    const delimiter = DELIMITERS[style] ?? ',';
    return [[name, value.map((one) => escape(leaf(one))).join(delimiter === ',' ? ',' : escape(delimiter))]];
  }
  if (isObject(value)) {
    if (explode) return Object.entries(value).map(([key, one]) => [key, escape(leaf(one))]);
    const delimiter = DELIMITERS[style] ?? ',';
    const flat = Object.entries(value).flatMap(([key, one]) => [escape(key), escape(leaf(one))]);
    return [[name, flat.join(delimiter === ',' ? ',' : escape(delimiter))]];
  }
  return [[name, escape(leaf(value))]];
}

/** A value in a path or header, escaped by `write`. */
function partOf({ name, style = 'simple', explode = false }, value, write) {
  const list = (delimiter) =>
    Array.isArray(value)
      ? value.map((one) => write(leaf(one))).join(delimiter)
      : isObject(value)
        ? Object.entries(value).map(([key, one]) => [write(key), write(leaf(one))].join(explode ? '=' : ',')).join(explode ? delimiter : ',')
        : write(leaf(value));
  if (style === 'label') return `.${list(explode ? '.' : ',')}`;
  if (style === 'matrix') {
    if (explode && Array.isArray(value)) return value.map((one) => `;${name}=${write(leaf(one))}`).join('');
    if (explode && isObject(value)) return Object.entries(value).map(([key, one]) => `;${write(key)}=${write(leaf(one))}`).join('');
    return `;${name}=${list(',')}`;
  }
  return list(',');
}

/** The text of a value that a media type writes (`content`), or `undefined` for a style. */
function contentText(parameter, value) {
  const [type] = Object.keys(parameter.content ?? {});
  if (type === undefined) return undefined;
  return type.includes('json') || typeof value === 'object' ? JSON.stringify(value) : leaf(value);
}

/** Path, query, headers of `{ path: {name: value}, query, headers, cookie }` as the document wants it. */
export function write(operation, values) {
  const { request = {} } = operation;
  const target = operation.path.replace(/\{([^}]*)\}/g, (whole, name) => {
    const parameter = request.path?.find((it) => it.name === name || it.name === bare(name));
    const value = parameter && values.path[parameter.name];
    if (value === undefined) return whole;
    const text = contentText(parameter, value);
    return text === undefined ? partOf(parameter, value, escape) : escape(text);
  });
  const pairs = [];
  for (const parameter of request.query ?? []) {
    const value = values.query[parameter.name];
    if (value === undefined) continue;
    const text = contentText(parameter, value);
    pairs.push(...(text === undefined ? pairsOf(parameter, value) : [[parameter.name, escape(text)]]));
  }
  const headers = {};
  for (const parameter of request.headers ?? []) {
    const value = values.headers[parameter.name];
    if (value === undefined) continue;
    headers[parameter.name] = contentText(parameter, value) ?? partOf(parameter, value, (text) => text);
  }
  const cookies = [];
  for (const parameter of request.cookie ?? []) {
    const value = values.cookie[parameter.name];
    if (value === undefined) continue;
    const text = contentText(parameter, value);
    cookies.push(...(text === undefined ? pairsOf(parameter, value) : [[parameter.name, escape(text)]]));
  }
  if (cookies.length) headers.Cookie = cookies.map((pair) => pair.join('=')).join('; ');
  const query = pairs.map(([key, text]) => `${escape(key)}=${text}`).join('&');
  const [path, fixed] = target.split('#')[0].split(/\?(.*)/s);
  const all = [fixed, query].filter(Boolean).join('&');
  return { method: operation.method.toUpperCase(), target: all ? `${path}?${all}` : path, headers };
}

/** The name within a template such as `{.id*}`. */
const bare = (name) => name.replace(/^[.;?/#+]/, '').replace(/\*$/, '');

/** A body as its media type wants it: `{ contentType, body }`. */
export async function writeBody(content, value) {
  const type = content.mediaType;
  const essence = type.split(';')[0].trim().toLowerCase();
  if (essence === 'application/x-www-form-urlencoded') {
    const encodings = new Map((content.encodings ?? []).map((it) => [it.property, it]));
    const pairs = Object.entries(isObject(value) ? value : {}).flatMap(([name, one]) =>
      encodings.get(name)?.style || Array.isArray(one)
        ? pairsOf({ name, style: 'form', explode: true, ...encodings.get(name) }, one)
        : [[name, escape(leaf(one))]],
    );
    return { contentType: essence, body: pairs.map(([key, text]) => `${escape(key)}=${text}`).join('&') };
  }
  if (essence.startsWith('multipart/')) {
    const form = new FormData();
    for (const [name, one] of Object.entries(isObject(value) ? value : {})) {
      for (const it of Array.isArray(one) ? one : [one]) form.append(name, leaf(it));
    }
    const response = new Response(form);
    return { contentType: response.headers.get('content-type'), body: Buffer.from(await response.arrayBuffer()) };
  }
  if (essence.includes('json') || essence.includes('*') || typeof value === 'object') {
    return { contentType: essence.includes('*') ? 'application/json' : type, body: JSON.stringify(value) };
  }
  return { contentType: type, body: leaf(value) };
}

// === Reading ===

/** Whether two values are the same once everything without a type of its own is text. */
function same(read, meant) {
  if (Array.isArray(meant)) {
    return Array.isArray(read) && read.length === meant.length && meant.every((one, at) => same(read[at], one));
  }
  if (isObject(meant)) {
    if (typeof read === 'string') return isDeepStrictEqual(tryJson(read), meant);
    // Members that are null may be left out.
    return isObject(read) && Object.entries(meant).every(([key, one]) => same(read[key], one) || (one === null && read[key] === undefined));
  }
  if (typeof read === 'string') return read === leaf(meant) || (typeof meant === 'number' && read !== '' && Number(read) === meant);
  return isDeepStrictEqual(read, meant) || (meant === null && read === undefined);
}

function tryJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The flat list `k,v,k,v` as an object. */
function paired(list) {
  const object = {};
  for (let at = 0; at + 1 < list.length; at += 2) object[list[at]] = list[at + 1];
  return object;
}

const decoded = (text) => unescape(text.replaceAll('+', '%20'));

/** Whether pairs, not decoded yet, carry this value by a parameter's style. */
function inPairs(pairs, parameter, meant, decode) {
  const { name, style = 'form', explode = style === 'form' } = parameter;
  const of = (key) => pairs.filter(([it]) => decode(it) === key).map(([, text]) => text);
  const own = of(name);
  if (parameter.content) return own.length === 1 && same(tryJson(decode(own[0])) ?? decode(own[0]), meant);
  if (Array.isArray(meant) && style !== 'deepObject') {
    if (meant.length === 0) return own.length === 0 || (own.length === 1 && own[0] === '');
    if (explode) return same(own.map(decode), meant);
    const delimiter = DELIMITERS[style] ?? ',';
    if (own.length !== 1) return false;
    // No escape tells a space between two values from a space in one (specification 3.2, Appendix E).
    if (delimiter !== ',' && decode(own[0]) === meant.map(leaf).join(delimiter)) return true;
    return same(split(own[0], delimiter).map(decode), meant);
  }
  if (typeof meant === 'object' && meant !== null) {
    if (style === 'deepObject') return inBrackets(pairs, name, meant, decode);
    if (Object.keys(meant).length === 0) return own.length === 0 || own[0] === '' || own[0] === '%7B%7D';
    if (explode) return Object.entries(meant).every(([key, one]) => inPairs(pairs, { name: key, style: 'form', explode: true }, one, decode) || of(key).some((text) => same(decode(text), one)));
    return own.length === 1 && same(paired(split(own[0], DELIMITERS[style] ?? ',').map(decode)), meant);
  }
  if (meant === null) return own.length === 0 || own[0] === '' || own[0] === 'null';
  return own.length === 1 && same(decode(own[0]), meant);
}

/** Splits at a delimiter as it is, or escaped where it must be. */
function split(text, delimiter) {
  if (delimiter === ',') return text.split(',');
  return text.split(delimiter === ' ' ? /\+|%20| / : delimiter === '|' ? /%7C|\|/i : /%09|\t/);
}

function inBrackets(pairs, key, meant, decode) {
  if (typeof meant === 'object' && meant !== null && !Array.isArray(meant)) {
    return Object.entries(meant).every(([inner, one]) => inBrackets(pairs, `${key}[${inner}]`, one, decode));
  }
  const own = pairs.filter(([it]) => decode(it) === key || (Array.isArray(meant) && new RegExp(`^${RegExp.escape ? RegExp.escape(key) : key.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\[\\d*\\]$`).test(decode(it)))).map(([, text]) => decode(text));
  if (meant === null) return own.length === 0 || own[0] === '' || own[0] === 'null';
  return same(Array.isArray(meant) ? own : own[0], meant);
}

/** Key and value of a pair; `;key` and `&key` are pairs, too. */
function halves(pair) {
  const [key, value = ''] = pair.split(/=(.*)/s);
  return [key, value];
}

/** Whether a part of a path, or a header, carries this value by a parameter's style. */
function inPart(raw, parameter, meant, decode) {
  const { name, style = 'simple', explode = false } = parameter;
  if (raw === undefined) return meant === null || (Array.isArray(meant) && meant.length === 0);
  if (parameter.content) return same(tryJson(decode(raw)) ?? decode(raw), meant);
  let text = raw;
  let delimiter = DELIMITERS[style] ?? ',';
  if (style === 'label') {
    if (!text.startsWith('.')) return false;
    text = text.slice(1);
    if (explode) delimiter = '.';
  }
  if (style === 'matrix') {
    const parts = text.split(';').slice(1).map(halves);
    if (explode && Array.isArray(meant)) return same(parts.filter(([key]) => decode(key) === name).map(([, it]) => decode(it)), meant);
    if (explode && typeof meant === 'object' && meant) return same(Object.fromEntries(parts.map(([key, it]) => [decode(key), decode(it)])), meant);
    const own = parts.find(([key]) => decode(key) === name);
    if (!own) return false;
    [, text] = own;
  }
  if (Array.isArray(meant)) return same(text === '' ? [] : text.split(delimiter).map(decode), meant) || same(text.split(delimiter).map(decode), meant);
  if (typeof meant === 'object' && meant !== null) {
    const read = explode
      ? Object.fromEntries(text.split(delimiter).map((pair) => halves(pair).map(decode)))
      : paired(text.split(',').map(decode));
    return same(read, meant);
  }
  return same(decode(text), meant);
}

/** A request on the wire, taken apart by the document: what is asked of it is where a value went. */
export class Wire {
  static async read(operation, { target, headers, body }) {
    const wire = new Wire();
    const [path, query = ''] = target.split(/\?(.*)/s);
    wire.operation = operation;
    wire.pairs = query === '' ? [] : query.split('&').map(halves);
    wire.query = query;
    wire.headers = headers;
    wire.cookies = (headers.cookie ?? '').split(/; ?/).filter(Boolean).map(halves);
    const names = [];
    const template = operation.path.split(/[?#]/)[0];
    const pattern = template.split(/(\{[^}]*\})/).map((piece) => {
      if (!piece.startsWith('{')) return piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      names.push(piece.slice(1, -1));
      return '([^/]*)';
    });
    const found = new RegExp(`${pattern.join('')}$`).exec(path);
    wire.parts = new Map(names.map((name, at) => [name, found?.[at + 1]]).flatMap(([name, text]) => [[name, text], [bare(name), text]]));
    wire.body = body;
    wire.contentType = headers['content-type'] ?? '';
    wire.form = await form(wire.contentType, body);
    return wire;
  }

  /** Whether an argument of this name and value is somewhere on the wire where its name belongs. */
  carries(name, value) {
    const { request = {} } = this.operation;
    const places = [
      ['path', request.path, (it) => inPart(this.parts.get(it.name), it, value, unescape)],
      ['query', request.query, (it) => inPairs(this.pairs, it, value, decoded)],
      ['header', request.headers, (it) => this.#header(it, value)],
      ['cookie', request.cookie, (it) => inPairs(this.cookies, it, value, unescape)],
    ];
    for (const [location, parameters = [], holds] of places) {
      for (const parameter of parameters) if (isNamed(name, parameter.name, location) && holds(parameter)) return true;
    }
    // What the reader of the document leaves out: parameters that it does not know.
    if (this.parts.has(name) && inPart(this.parts.get(name), { name }, value, unescape)) return true;
    if (this.cookies.some(([key, text]) => isNamed(name, unescape(key), 'cookie') && same(unescape(text), value))) return true;
    if (this.pairs.some(([key, text]) => isNamed(name, decoded(key), 'query') && same(decoded(text), value))) return true;
    return this.#inBody(name, value);
  }

  #header(stated, value) {
    // A header is no part of a path, whatever style a document says.
    const parameter = { ...stated, style: DELIMITERS[stated.style] ? stated.style : 'simple' };
    const raw = this.headers[parameter.name.toLowerCase()];
    return inPart(raw, parameter, value, (text) => text.trim()) || inPart(raw, parameter, value, (text) => unescape(text.trim()));
  }

  #inBody(name, value) {
    const text = this.body.toString('utf8');
    const isBody = isNamed(name, 'body', 'request');
    if (this.form) {
      const named = this.form.filter(([key]) => isNamed(name, key, 'body') || isNamed(name, key.replace(/\[.*$/, ''), 'body'));
      const texts = named.map(([, it]) => it);
      const content = this.operation.request?.body?.contents?.find((it) => this.contentType.startsWith(it.mediaType));
      const encoding = content?.encodings?.find((it) => isNamed(name, it.property, 'body')) ?? this.operation.formats?.find((it) => isNamed(name, it.property, 'body'));
      if (holdsForm(this.form, name, texts, value, encoding)) return true;
      return isBody && isObject(value) && Object.entries(value).every(([key, one]) => holdsForm(this.form, key, this.form.filter(([it]) => it === key).map(([, it]) => it), one));
    }
    const json = tryJson(text);
    if (json !== undefined) {
      if (isObject(json)) {
        for (const [key, one] of Object.entries(json)) if (isNamed(name, key, 'body') && isDeepStrictEqual(one, value)) return true;
      }
      if (isDeepStrictEqual(json, value)) return true;
    }
    if (/xml/.test(this.contentType)) return holdsXml(text, value);
    if (typeof value === 'string') return text === value || this.body.equals(bytes(value));
    const lines = text.split('\n').filter((line) => line.trim() !== '').map(tryJson);
    return isDeepStrictEqual(lines, value) || text === leaf(value) || JSON.stringify(value) === text;
  }
}

/** base64 or a `data:` URI as bytes. */
function bytes(value) {
  const uri = /^data:([^,]*?)(;base64)?,(.*)$/s.exec(value);
  if (uri) return uri[2] ? Buffer.from(uri[3], 'base64') : Buffer.from(unescape(uri[3]));
  return Buffer.from(value, 'base64');
}

function holdsForm(pairs, name, texts, value, encoding) {
  const one = (text, it) => (Buffer.isBuffer(text) ? text.toString('utf8') === leaf(it) || same(tryJson(text.toString('utf8')), it) || (typeof it === 'string' && text.equals(bytes(it))) : same(text, it) || same(tryJson(text), it));
  if (value === null) return texts.length === 0 || String(texts[0]) === '' || String(texts[0]) === 'null';
  if (Array.isArray(value)) {
    if (value.length === texts.length && value.every((it, at) => one(texts[at], it))) return true;
    if (texts.length !== 1) return value.length === 0 && texts.length === 0;
    const delimiter = DELIMITERS[encoding?.style] ?? ',';
    return one(texts[0], value) || same(String(texts[0]).split(delimiter), value);
  }
  if (isObject(value)) {
    if (texts.length === 1 && one(texts[0], value)) return true;
    if (texts.length === 1 && same(paired(String(texts[0]).split(DELIMITERS[encoding?.style] ?? ',')), value)) return true;
    const all = pairs.map(([key, it]) => [key, String(it)]);
    if (encoding?.style === 'deepObject') return inBrackets(all, encoding.property, value, (text) => text);
    if (inBrackets(all, name, value, (text) => text)) return true;
    return Object.entries(value).every(([key, it]) => all.some(([own, text]) => own === key && same(text, it)) || (typeof it === 'object' && inPairs(all, { name: key, style: 'form', explode: true }, it, (text) => text)));
  }
  return texts.length === 1 && one(texts[0], value);
}

/** The pairs of a form, in order and decoded; `undefined` where the body is none. */
async function form(contentType, body) {
  const essence = contentType.split(';')[0].trim().toLowerCase();
  if (essence === 'application/x-www-form-urlencoded') return [...new URLSearchParams(body.toString('utf8'))];
  if (essence !== 'multipart/form-data') return undefined;
  try {
    const data = await new Response(body, { headers: { 'content-type': contentType } }).formData();
    const pairs = [];
    for (const [key, value] of data) pairs.push([key, typeof value === 'string' ? value : Buffer.from(await value.arrayBuffer())]);
    return pairs;
  } catch {
    return [];
  }
}

/** Whether each leaf of a value is a text or attribute of an XML document. */
function holdsXml(text, value) {
  const entity = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
  const plain = (it) => it.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, number, name) => (hex ? String.fromCodePoint(parseInt(hex, 16)) : number ? String.fromCodePoint(Number(number)) : (entity[name] ?? whole)));
  const found = [...text.matchAll(/>([^<]*)<|="([^"]*)"/g)].map(([, inner, attribute]) => plain(inner ?? attribute));
  const leaves = [];
  const walk = (one) => (typeof one === 'object' && one !== null ? Object.values(one).forEach(walk) : leaves.push(one));
  walk(value);
  return leaves.every((one) => one === null || one === '' || found.some((it) => same(it, one) || same(it.trim(), one)));
}

const plain = (name) => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Whether an argument may stand for what has this name at this place. */
export function isNamed(argument, name, location) {
  return argument === name || plain(argument) === plain(name) || plain(argument) === plain(`${location}${name}`) || plain(argument) === plain(`${name}${location}`);
}
