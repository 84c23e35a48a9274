// Runs the cases of a file through the TypeScript SDK and prints its outputs, in the format of the recorded cases.
// usage: FC_SDK=folder-of-npm-install TZ=UTC FACTS_ENV_VAR=from-env node tests/peer/peer.mjs < cases.json
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const require = createRequire(path.join(process.env.FC_SDK, 'package.json'));
const sdk = require('@fluentcommerce/fc-connect-sdk');

const quiet = { debug() {}, info() {}, warn() {}, error() {}, log() {} };
const print = text => process.stdout.write(text);
Object.assign(console, quiet);

const MARKED = { undefined, NaN, Infinity, '-Infinity': -Infinity, '-0': -0 };

function decoded(value) {
  if (Array.isArray(value)) return value.map(decoded);
  if (value === null || typeof value !== 'object') return value;
  if (value.$js === 'date') return new Date(value.iso);
  if (value.$js === 'invalid-date') return new Date(NaN);
  if ('$js' in value) return MARKED[value.$js];
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, decoded(item)]));
}

function encoded(value) {
  if (value === undefined) return { $js: 'undefined' };
  if (typeof value === 'function') return { $js: 'function' };
  if (typeof value === 'number') {
    if (Object.is(value, -0)) return { $js: '-0' };
    return Number.isFinite(value) ? value : { $js: String(value) };
  }
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) {
    return isNaN(value) ? { $js: 'invalid-date' } : { $js: 'date', iso: value.toISOString() };
  }
  if (value instanceof Number || value instanceof String || value instanceof Boolean) {
    return { $js: 'boxed', value: encoded(value.valueOf()) };
  }
  if (value instanceof Error) return { $error: value.name, message: value.message };
  if (Array.isArray(value)) return Array.from(value, encoded);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, encoded(item)]));
}

const shown = value => (value === undefined ? '<undefined>' : value);
const fail = message => { throw new Error(message); };
const RESOLVERS = {
  'test.throw': () => fail('boom'),
  'test.reject': async () => fail('async boom'),
  'test.require': (value, data, context, helpers) => { helpers.requireField(value, 'zz'); return value; },
  'test.undefined': () => undefined,
  'test.null': () => null,
  'test.empty': () => '',
  'test.zero': () => 0,
  'test.args': (value, data, context) => ({ value: shown(value), data, context }),
  'test.async': async value => ({ got: shown(value) }),
  'test.fullName': (value, data) => `${data.first} ${data.last}`,
};
const CUSTOM = Object.fromEntries(
  Object.entries(RESOLVERS).map(([name, run]) => [name.replace('test.', 'custom.'), run]));

const coded = found => found.map(each => [each.code, each.path ?? null]);

// What a result has no value for isn't in the recorded ones.
function withoutAbsent(result) {
  return Object.fromEntries(Object.entries(result).filter(([, value]) => value !== undefined));
}

const mutationMapper = config => new sdk.GraphQLMutationMapper(config, quiet, {});

const KINDS = {
  async universal(config, input, context) {
    const options = { customResolvers: RESOLVERS, logger: quiet, ...(context === undefined ? {} : { context }) };
    return withoutAbsent(await new sdk.UniversalMapper(config, options).map(input));
  },
  async universal_xml(config, input) {
    const record = await new sdk.XMLParserService().parse(input, { includeAttributes: true });
    return withoutAbsent(await new sdk.UniversalMapper(config, { logger: quiet }).map(record));
  },
  json_path: (config, input) => new sdk.UniversalPathResolver('json').resolve(input, config.path),
  xml_path: (config, input) => new sdk.UniversalPathResolver('xml').resolve(input, config.path),
  helper: (config, input) => sdk.Helpers[config.helper](...input),
  mutation_map: (config, input) => mutationMapper(config).map(input),
  nodes_map: (config, input, context) => mutationMapper(config).mapWithNodes(input, CUSTOM, context),
  batch_map: (config, input) => mutationMapper(config).batchMap(input),
  alias_parse: (config, input) =>
    sdk.parseAliasedMutationResponse(input, config.batchSize, config.mutationName, config.inputs ?? undefined),
  validate_config(config) {
    const { valid, errors, warnings } = sdk.validateMappingConfig(config.config, config.options);
    return { valid, errors: coded(errors), warnings: coded(warnings) };
  },
};

const outputs = [];
for (const each of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  try {
    const found = await KINDS[each.kind](decoded(each.config), decoded(each.input), decoded(each.context));
    // What set() did shows in its first argument alone, which the recorded cases don't have.
    outputs.push(encoded(found));
  } catch (error) {
    outputs.push({ $error: error?.name ?? 'none', message: String(error?.message ?? error) });
  }
}
print(JSON.stringify(outputs));
