// What a function returns becomes an answer; what a function with parameters gets is made of a request.
'use strict';

const TYPE_NONE = 0;
const TYPE_TEXT = 1;
const TYPE_JSON = 2;
const TYPE_BYTES = 3;
const RESPONSE_KEYS = new Set(['status', 'statusCode', 'headers', 'body']);

// An object that says what the answer is, as opposed to one that is the answer: it has nothing but a
// status, headers and a body, and its status is a number.
function isResponse(object) {
  let known = 0;
  for (const key in object) {
    if (!RESPONSE_KEYS.has(key))
      return false;
    known++;
  }
  const status = object.status ?? object.statusCode;
  return known !== 0 && (status === undefined || Number.isInteger(status)) &&
    (object.headers == null || typeof object.headers === 'object') &&
    (status !== undefined || object.headers != null || 'body' in object);
}

function json(value) {
  const text = JSON.stringify(value);
  if (text === undefined)
    throw new TypeError(`a function cannot answer with a ${typeof value}`);
  return text;
}

// [content-type, body] of any value.
function bodyOf(value) {
  if (typeof value === 'string')
    return [TYPE_TEXT, value];
  if (value instanceof Uint8Array)
    return [TYPE_BYTES, value];
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value))
    return [TYPE_BYTES, ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value)];
  if (value === undefined || value === null)
    return [TYPE_NONE, undefined];
  return [TYPE_JSON, json(value)];
}

// [name, value, name, value, ...] of an object, a Map or a Headers; a list of values is several fields.
function fieldsOf(headers) {
  const entries = typeof headers.entries === 'function' ? headers.entries() : Object.entries(headers);
  const fields = [];
  for (const [name, value] of entries)
    for (const one of Array.isArray(value) ? value : [value])
      fields.push(String(name), String(one));
  return fields;
}

function hasType(fields) {
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i].toLowerCase() === 'content-type')
      return true;
  return false;
}

function answerResponse(host, id, { status, statusCode, headers, body }) {
  const [type, bytes] = bodyOf(body);
  const fields = headers == null ? undefined : fieldsOf(headers);
  host.answer(id, status ?? statusCode ?? 200, fields !== undefined && hasType(fields) ? TYPE_NONE : type, fields,
    bytes);
}

function answer(host, id, result, takesParameters) {
  if (typeof result !== 'object' || result === null || result instanceof Uint8Array) {
    // A function with parameters may return a number (Vespid); nothing is an empty object (OpenWhisk).
    const value = takesParameters ? result ?? {} : result;
    const [type, body] = bodyOf(typeof value === 'number' && takesParameters ? String(value) : value);
    host.answer(id, body === undefined ? 204 : 200, type, undefined, body);
  } else if (takesParameters && 'error' in result) {
    host.answer(id, 502, TYPE_JSON, undefined, json(result)); // OpenWhisk's "application error"
  } else if (isResponse(result)) {
    answerResponse(host, id, result);
  } else {
    const [type, body] = bodyOf(result);
    host.answer(id, 200, type, undefined, body);
  }
}

function bodyParameters(request) {
  const type = (request.headers['content-type'] ?? '').toLowerCase();
  if (request.body.length === 0)
    return {};
  if (type.startsWith('application/x-www-form-urlencoded'))
    return Object.fromEntries(new URLSearchParams(request.text()));
  const value = request.json();
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('the body is not a JSON object');
  return value;
}

// OpenWhisk's rule: the body's object over the query's parameters; the route's parameters below both.
function parameters(request) {
  return { ...request.params, ...Object.fromEntries(request.searchParams), ...bodyParameters(request) };
}

module.exports = { answer, parameters };
