// Calls that a function makes to others of its namespace. A call awaits four answers at once; more wait here.
'use strict';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];
const EBUSY = -16;
const REASONS = new Map([
  [-3, 'the request is over'], [-7, 'its name, path, query and headers are too long'], [-12, 'there is no memory'],
  [-22, 'it has no name, or too many headers'], [-32, 'the answer broke off'],
  [-90, 'its body is larger than 1 MiB, or the answer too large'], [-105, 'the gateway has no memory now'],
]);

const calls = new Map(); // id -> what that call awaits: by number, and in line

/** What another function answered. */
class Reply {
  constructor(status, headers, body, activation) {
    this.status = status;
    this.headers = headers;
    this.body = body;
    this.activation = activation;
  }

  text() {
    return this.body.toString('utf8');
  }

  json() {
    return JSON.parse(this.text());
  }
}

function fail(order, error) {
  order.reject(new Error(`cannot call ${order.target[0]}: ${REASONS.get(error) ?? `error ${-error}`}`));
}

// True if it was begun, or failed; false if it must wait for its turn.
function begin(host, id, state, order) {
  const number = host.call(id, ...order.target);
  if (number === EBUSY)
    return false;
  if (number < 0)
    fail(order, number);
  else
    state.awaited.set(number, order);
  return true;
}

function targetOf(name, body, { method, path = '/', query = '', headers = {}, oneWay = false }) {
  const fields = Object.entries(headers).flatMap(([key, value]) => [key, String(value)]);
  let bytes = body ?? undefined;
  let type;
  if (typeof bytes === 'string')
    type = 'text/plain; charset=utf-8';
  else if (bytes !== undefined && !(bytes instanceof Uint8Array))
    [bytes, type] = [JSON.stringify(bytes), 'application/json'];
  if (type !== undefined && !Object.keys(headers).some((key) => key.toLowerCase() === 'content-type'))
    fields.push('content-type', type);
  const number = METHODS.indexOf((method ?? (bytes === undefined ? 'GET' : 'POST')).toUpperCase());
  if (number === -1)
    throw new TypeError(`no method ${method}`);
  return [String(name), number, path, query, fields, bytes, oneWay];
}

function call(host, id, name, body, options) {
  return new Promise((resolve, reject) => {
    const order = { target: targetOf(name, body, options), resolve, reject };
    let state = calls.get(id);
    if (state === undefined)
      calls.set(id, state = { awaited: new Map(), line: [] });
    if (state.line.length !== 0 || !begin(host, id, state, order))
      state.line.push(order);
  });
}

/** That call is over: what it still awaits never comes. */
function over(id) {
  if (calls.size !== 0)
    calls.delete(id);
}

function called(host, pairs) {
  return (id, number, error, status, headers, body, activation) => {
    const state = calls.get(id);
    const order = state?.awaited.get(number);
    if (number === undefined)
      over(id);
    if (order === undefined)
      return;
    state.awaited.delete(number);
    if (error !== 0)
      fail(order, error);
    else
      order.resolve(new Reply(status, pairs(headers, true), body, activation));
    while (state.line.length !== 0 && begin(host, id, state, state.line[0]))
      state.line.shift();
  };
}

module.exports = { call, called, over };
