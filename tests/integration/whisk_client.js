// What test_dialect_whisk_npm.py has the real npm client do. Arguments: where the client lies, the API's host.
'use strict';

const assert = require('node:assert/strict');
const { createRequire } = require('node:module');

const [folder, apihost] = process.argv.slice(2);
const openwhisk = createRequire(`${folder}/`)('openwhisk');
const api_key = '23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP';
const ow = openwhisk({ apihost, api_key });
const CODE = 'function main(params) { console.log("got", params.name); return { payload: `Hello, ${params.name}!` } }';

const refused = (promise, statusCode) => assert.rejects(promise, { statusCode });

// A zip archive of stored files.
function zipOf(files) {
  const parts = [], index = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const body = Buffer.from(text), head = Buffer.alloc(30 + name.length), entry = Buffer.alloc(46 + name.length);
    for (const [to, first] of [[head, 4], [entry, 6]]) {
      to.writeUInt16LE(20, first);
      to.writeUInt32LE(crc32(body), first + 10);
      to.writeUInt32LE(body.length, first + 14);
      to.writeUInt32LE(body.length, first + 18);
      to.writeUInt16LE(name.length, first + 22);
    }
    head.writeUInt32LE(0x04034b50, 0);
    head.write(name, 30);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt32LE(offset, 42);
    entry.write(name, 46);
    parts.push(head, body);
    index.push(entry);
    offset += head.length + body.length;
  }
  const end = Buffer.alloc(22), list = Buffer.concat(index);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(index.length, 8);
  end.writeUInt16LE(index.length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, list, end]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++)
      crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// What is not there yet, as soon as it is.
async function settled(ask) {
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (error.statusCode !== 404 || tries === 600)
        throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function actions() {
  const made = await ow.actions.create({ name: 'hello', action: CODE, params: { name: 'you' }, limits: { timeout: 5000 } });
  assert.equal(made.namespace, 'guest');
  assert.match(made.exec.kind, /^nodejs/);
  assert.equal(made.exec.code, CODE);
  assert.deepEqual(made.parameters, [{ key: 'name', value: 'you' }]);
  await refused(ow.actions.create({ name: 'hello', action: CODE }), 409);
  assert.deepEqual(await ow.actions.get('hello'), made);
  assert.equal((await ow.actions.get({ name: 'hello', code: false })).exec.code, undefined);
  assert.equal((await ow.actions.update({ name: 'hello', action: CODE, annotations: { a: 1 } })).version, '0.0.2');
  assert.deepEqual((await ow.actions.list()).map(({ name, namespace }) => [namespace, name]), [['guest', 'hello']]);
  assert.deepEqual(await ow.actions.list({ count: true }), { actions: 1 });
  assert.deepEqual(await ow.actions.list({ skip: 1, limit: 2 }), []);
  await refused(ow.actions.get('missing'), 404);
  await refused(ow.actions.delete('missing'), 404);
}

async function invocations() {
  const params = { name: 'Ada' };
  assert.deepEqual(await ow.actions.invoke({ name: 'hello', blocking: true, result: true }), { payload: 'Hello, you!' });
  assert.deepEqual(await ow.actions.invoke({ name: 'hello', blocking: true, result: true, params }), { payload: 'Hello, Ada!' });
  const told = await ow.actions.invoke({ name: 'hello', blocking: true, params });
  assert.equal(told.response.status, 'success');
  assert.deepEqual(told.response.result, { payload: 'Hello, Ada!' });
  const later = await ow.actions.invoke({ name: 'hello', params });
  assert.match(later.activationId, /^[0-9a-f]{32}$/);
  assert.deepEqual(Object.keys(later), ['activationId']);
  assert.deepEqual((await settled(() => ow.activations.result(later.activationId))).result, { payload: 'Hello, Ada!' });
  assert.equal((await ow.activations.get(later.activationId)).name, 'hello');
  await refused(ow.actions.invoke({ name: 'ghost', params }), 404);
  await ow.actions.create({ name: 'bad', action: 'function main() { return { error: "boom" } }' });
  await assert.rejects(ow.actions.invoke({ name: 'bad', blocking: true }), /502.*boom/s);
  await ow.actions.create({ name: 'box/zipped', action: zipOf({
    'package.json': '{"main": "index.js"}', 'index.js': 'exports.main = params => params' }) });
  assert.deepEqual(await ow.actions.invoke({ name: 'box/zipped', blocking: true, result: true, params }), params);
  const sorted = await ow.actions.invoke({ name: '/whisk.system/utils/sort', blocking: true, result: true, params: { lines: ['b', 'a'] } });
  assert.deepEqual(sorted, { lines: ['a', 'b'] });
  const sequence = ['/_/hello', '/whisk.system/utils/echo'];
  assert.deepEqual((await ow.actions.create({ name: 'both', sequence })).exec.components, sequence);
  assert.deepEqual(await ow.actions.invoke({ name: 'both', blocking: true, result: true, params }), { payload: 'Hello, Ada!' });
  return told.activationId;
}

async function activations(id) {
  const record = await settled(() => ow.activations.get(id)); // it is kept a moment later
  assert.equal(record.name, 'hello');
  assert.equal(record.response.success, true);
  const { logs } = await ow.activations.logs({ activation: id });
  assert.match(logs[0], /stdout: got Ada$/);
  assert.deepEqual((await ow.activations.result(id)).result, { payload: 'Hello, Ada!' });
  assert.deepEqual(record.response.result, { payload: 'Hello, Ada!' });
  assert.ok((await ow.activations.list()).some(({ activationId }) => activationId === id));
  assert.ok((await ow.activations.list({ name: 'hello', limit: 200, since: 1 })).every(({ name }) => name === 'hello'));
  assert.ok((await ow.activations.list({ count: true })).activations > 0);
  await refused(ow.activations.get('a'.repeat(32)), 404);
}

async function namespaces() {
  assert.deepEqual(await ow.namespaces.list(), ['guest']);
  assert.deepEqual(await ow.packages.list(), []);
  assert.deepEqual(await ow.triggers.list(), []);
  assert.deepEqual(await ow.rules.list(), []);
}

(async () => {
  await actions();
  await activations(await invocations());
  await namespaces();
  for (const name of ['hello', 'bad', 'box/zipped', 'both'])
    await ow.actions.delete(name);
  assert.deepEqual(await ow.actions.list(), []);
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
