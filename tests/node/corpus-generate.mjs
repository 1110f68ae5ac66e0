// Arguments from a schema, by a generator and a validator that are not ours.

import vm from 'node:vm';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { generateSync } from 'json-schema-faker';

/** What breaks whoever forgets to escape. */
const TRICKY = 'a b&c=d/e?f+g%h';
/** `required`: what must be there; `all`: everything; `tricky`: everything, with difficult strings. */
export const KINDS = ['required', 'all', 'tricky'];
/** Tries of each kind: a generator is wrong now and then, in patterns above all. */
const TRIES = 8;
const BYTES_MAX = 200_000;
/** How long one value, or one validator, may take to make. */
const MS_MAX = 20_000;

/** What a function gives, unless it takes too long: some schemas keep generators busy without end. */
function within(work) {
  return vm.runInContext('work()', vm.createContext({ work }), { timeout: MS_MAX });
}

const ajv = addFormats.default(new Ajv2020({ strict: false, allErrors: false, validateFormats: true, logger: false, addUsedSchema: false }));

/** What is wrong with a schema, or nothing. */
export function problemOf(schema) {
  if (!ajv.validateSchema(schema)) return `meta-schema: ${ajv.errorsText(ajv.errors)}`;
  const foreign = references(schema).find((it) => !/^#\/\$defs\/[^/]+$/.test(it) || !(unescapePointer(it.slice('#/$defs/'.length)) in (schema.$defs ?? {})));
  if (foreign !== undefined) return `reference out of its definitions: ${foreign}`;
  return undefined;
}

const unescapePointer = (text) => decodeURIComponent(text).replaceAll('~1', '/').replaceAll('~0', '~');

/** All `$ref` of a schema, wherever a schema may stand. */
function references(schema, found = []) {
  if (Array.isArray(schema)) for (const one of schema) references(one, found);
  else if (schema !== null && typeof schema === 'object') {
    if (typeof schema.$ref === 'string') found.push(schema.$ref);
    for (const [key, one] of Object.entries(schema)) {
      if (['properties', '$defs', 'patternProperties', 'dependentSchemas'].includes(key)) Object.values(one).forEach((it) => references(it, found));
      else if (!['enum', 'const', 'default', 'examples', 'example', 'required'].includes(key)) references(one, found);
    }
  }
  return found;
}

/** A validator of values, or the reason why there is none. */
export function validatorOf(schema) {
  try {
    return { validate: within(() => ajv.compile(schema)) };
  } catch (error) {
    return { why: error.message };
  }
}

/** A value of a kind that fits, or `{ why }` there is none. */
export function valueOf(schema, kind, validate, tries = TRIES) {
  const wanted = kind === 'tricky' ? tricky(schema) : schema;
  let why = 'the generator gave nothing that fits';
  for (let seed = 1; seed <= tries; seed++) {
    try {
      const value = within(() => generateSync(wanted, {
        seed,
        alwaysFakeOptionals: kind !== 'required',
        ...(kind === 'required' ? { optionalsProbability: 0, fillProperties: false } : {}),
        maxDefaultItems: 2,
        maxDepth: seed > 4 ? 3 : 5,
        refDepthMax: seed > 4 ? 1 : 2,
        failOnInvalidTypes: false,
        validateSchemaVersion: false,
        resolveJsonPath: false,
      }));
      const json = JSON.stringify(value);
      if (json === undefined || json.length > BYTES_MAX) {
        why = 'what the generator gives is too large';
        continue;
      }
      const plain = JSON.parse(json);
      if (within(() => validate(plain))) return { value: plain };
      why = `the generator's value does not fit: ${ajv.errorsText(validate.errors)}`;
    } catch (error) {
      why = `the generator fails: ${error.message}`;
      if (error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') break;
    }
  }
  return { why };
}

/** The schema with the difficult text wherever a string is free. */
function tricky(schema) {
  if (Array.isArray(schema)) return schema.map(tricky);
  if (schema === null || typeof schema !== 'object') return schema;
  const copy = {};
  for (const [key, one] of Object.entries(schema)) {
    if (['enum', 'const', 'default', 'examples', 'example', 'required'].includes(key)) copy[key] = one;
    else if (['properties', '$defs', 'definitions', '__bundled__', 'patternProperties', 'schemas'].includes(key) && one !== null && typeof one === 'object' && !Array.isArray(one)) {
      copy[key] = Object.fromEntries(Object.entries(one).map(([name, it]) => [name, tricky(it)]));
    } else copy[key] = typeof one === 'object' ? tricky(one) : one;
  }
  const isText = schema.type === 'string' || (Array.isArray(schema.type) && schema.type.includes('string'));
  const isFree = !['enum', 'const', 'format', 'pattern', 'contentEncoding', 'contentMediaType'].some((key) => key in schema);
  if (isText && isFree) {
    const least = schema.minLength ?? 0;
    const most = schema.maxLength ?? Infinity;
    copy.enum = [TRICKY.repeat(Math.max(1, Math.ceil(least / TRICKY.length))).slice(0, most)];
    copy.type = 'string';
  }
  return copy;
}
