// What a handler gets. The head stays in shared memory until somebody asks for a part of it: most
// handlers read little of it.
'use strict';

const { call } = require('./call.js');

const NOTHING = Buffer.alloc(0);

function pairs(text, isLowered = false) {
  const all = Object.create(null);
  if (text === undefined || text === '')
    return all;
  const parts = text.split('\0');
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const name = isLowered ? parts[i].toLowerCase() : parts[i];
    all[name] = name in all ? `${all[name]}${name === 'cookie' ? '; ' : ', '}${parts[i + 1]}` : parts[i + 1];
  }
  return all;
}

class Request {
  #host;
  #id;
  #body;
  #line;
  #headers;
  #params;
  #activation;
  #parent;

  constructor(host, id, body) {
    this.#host = host;
    this.#id = id;
    this.#body = body;
  }

  #part(index) {
    this.#line ??= this.#still(this.#host.line(this.#id)).split('\0');
    return this.#line[index];
  }

  #still(value) {
    if (value === undefined)
      throw new Error('the request is over: read what you need of it before you answer');
    return value;
  }

  /** "GET" and so on. */
  get method() {
    return this.#part(0);
  }

  /** Decoded, without the query. */
  get path() {
    return this.#part(1);
  }

  /** As it came, without "?". */
  get query() {
    return this.#part(2);
  }

  /** Names in lower case. */
  get headers() {
    return this.#headers ??= pairs(this.#still(this.#host.headers(this.#id)));
  }

  /** What the route's {name} stand for. */
  get params() {
    return this.#params ??= pairs(this.#still(this.#host.params(this.#id)));
  }

  /** A Buffer; empty without a body. */
  get body() {
    return this.#body ?? NOTHING;
  }

  /** 32 hex digits. */
  get activation() {
    return this.#activation ??= this.#still(this.#host.activation(this.#id));
  }

  /** The activation of the function that called this one; empty if a client did. */
  get parent() {
    return this.#parent ??= this.#still(this.#host.parent(this.#id));
  }

  /** Milliseconds until the function has to have answered. */
  get deadline() {
    return this.#host.remaining(this.#id);
  }

  /** The query's parameters. */
  get searchParams() {
    return new URLSearchParams(this.query);
  }

  /** Call another function of the namespace: a promise of {status, headers, body, activation, text(), json()}.
   * options: method, path, query, headers, oneWay (202 when it is accepted; it runs after this one). */
  call(name, body, options = {}) {
    return call(this.#host, this.#id, name, body, options);
  }

  text() {
    return this.body.toString('utf8');
  }

  /** The body, parsed; throws a SyntaxError where it is no JSON. */
  json() {
    return JSON.parse(this.text());
  }

  toJSON() {
    const { method, path, query, headers, params } = this;
    return { method, path, query, headers, params, body: this.text() };
  }
}

module.exports = { Request, pairs };
