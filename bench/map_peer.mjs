// The TypeScript SDK's UniversalMapper over the records that bench/map_peer.py wrote.
// usage: FC_SDK=folder-of-npm-install node bench/map_peer.mjs FILE
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const require = createRequire(path.join(process.env.FC_SDK, 'package.json'));
const { UniversalMapper } = require('@fluentcommerce/fc-connect-sdk');
const { fields, records } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const mapper = new UniversalMapper({ version: '1.0', fields });

const results = {};
const seconds = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
for (let round = 0; round < 5; round++) {
  const a = seconds();
  for (const record of records) await mapper.map(record);          // as its templates do
  const b = seconds();
  const whole = await mapper.map(records);                          // its batch API
  const c = seconds();
  results.one = Math.max(results.one ?? 0, records.length / (b - a));
  results.list = Math.max(results.list ?? 0, records.length / (c - b));
  results.first = whole.data[0];
}
console.log(JSON.stringify(results));
