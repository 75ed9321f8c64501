// What a handler gets, what it may call, and how what it returns becomes an answer: as in the runtime `node`
// (dataplane/worker/node), of which this is the small sister. The head is asked for when somebody wants a
// part of it.
(function (weir) {
  'use strict';

  const { host, URLSearchParams } = weir;

  // `weir.out`, which the worker reads.
  const STATE = 0;
  const STATUS = 1;
  const TYPE = 2;
  const BODY = 3;
  const FIELDS = 4;
  const PENDING = 0;
  const DONE = 1;
  const FAILED = 2;
  const TYPE_NONE = 0;
  const TYPE_TEXT = 1;
  const TYPE_JSON = 2;
  const TYPE_BYTES = 3;
  const BODY_NONE = 0;
  const BODY_TEXT = 1;
  const BODY_BYTES = 2;
  const out = new Int32Array(8);

  const HAS_PARAMETERS = 1; // run()'s flags: a query or parameters of the route
  const HAS_BODY = 2;
  const IS_FORM = 4; // by its content-type
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];
  const RESPONSE_KEYS = new Set(['status', 'statusCode', 'headers', 'body']);
  const NOTHING = weir.asBuffer(new Uint8Array(0));

  // ---- the request ----

  function pairs(parts, first, end, isLowered) {
    const all = Object.create(null);
    for (let i = first; i + 1 < end; i += 2) {
      const name = isLowered ? parts[i].toLowerCase() : parts[i];
      all[name] = name in all ? `${all[name]}${name === 'cookie' ? '; ' : ', '}${parts[i + 1]}` : parts[i + 1];
    }
    return all;
  }

  // The whole body. Where its length is not known it is read until it ends.
  function bodyRead() {
    const length = host.length();
    let bytes = new Uint8Array(length >= 0 ? length : 16384);
    let used = 0;
    for (;;) {
      const got = used < bytes.length ? host.body(bytes, used) : 0;
      used += got;
      if (used === bytes.length && length < 0) {
        const larger = new Uint8Array(2 * used);
        larger.set(bytes);
        bytes = larger;
      } else if (got === 0) {
        break;
      }
    }
    return weir.asBuffer(used === bytes.length ? bytes : bytes.subarray(0, used));
  }

  class Request {
    #hasBody;
    #body;
    #parts;
    #headers;
    #params;

    constructor(flags) {
      this.#hasBody = (flags & HAS_BODY) !== 0;
    }

    #part(index) {
      this.#parts ??= host.head().split('\0');
      return this.#parts[index];
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

    /** 32 hex digits. */
    get activation() {
      return this.#part(3);
    }

    /** The activation of the function that called this one; empty if a client did. */
    get parent() {
      return this.#part(5);
    }

    /** Milliseconds until the function has to have answered. */
    get deadline() {
      return Math.max(0, Number(this.#part(4)) - Date.now());
    }

    /** What the route's {name} stand for. */
    get params() {
      return this.#params ??= pairs(this.#partsAll(), 7, 7 + 2 * Number(this.#part(6)), false);
    }

    /** Names in lower case. */
    get headers() {
      return this.#headers ??= pairs(this.#partsAll(), 7 + 2 * Number(this.#part(6)), this.#parts.length, true);
    }

    #partsAll() {
      this.#part(0);
      return this.#parts;
    }

    /** A Buffer; empty without a body. */
    get body() {
      return this.#body ??= this.#hasBody ? bodyRead() : NOTHING;
    }

    /** The query's parameters. */
    get searchParams() {
      return new URLSearchParams(this.query);
    }

    /** Call another function of the namespace: a promise of {status, headers, body, activation, text(), json()}.
     * options: method, path, query, headers, oneWay (202 when it is accepted; it runs after this one). */
    call(name, body, options = {}) {
      return call(name, body, options);
    }

    text() {
      return this.#hasBody ? host.decode(this.body) : '';
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

  function bodyParameters(flags) {
    const text = host.text() ?? host.decode(bodyRead());
    if (text === '')
      return {};
    if ((flags & IS_FORM) !== 0 && !/^\s*\{/.test(text)) // curl -d says that of everything
      return Object.fromEntries(new URLSearchParams(text));
    const value = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new TypeError('the body is not a JSON object');
    return value;
  }

  // OpenWhisk's rule: the body's object over the query's parameters; the route's parameters below both.
  function parameters(flags) {
    if ((flags & HAS_PARAMETERS) === 0)
      return (flags & HAS_BODY) === 0 ? {} : bodyParameters(flags);
    const request = new Request(flags);
    const all = { ...request.params, ...Object.fromEntries(request.searchParams) };
    return (flags & HAS_BODY) === 0 ? all : { ...all, ...bodyParameters(flags) };
  }

  // ---- calls of other functions ----

  const REASONS = new Map([
    [-7, 'its name, path, query and headers are too long'], [-12, 'there is no memory'],
    [-16, 'it awaits as many answers as it may'], [-22, 'it has no name, or too many headers'], [-32, 'the answer broke off'],
    [-90, 'its body is larger than 1 MiB, or the answer too large'], [-105, 'the gateway has no memory now'],
  ]);
  const EBUSY = -16;
  const awaited = new Map();
  let line = []; // calls that wait for their turn: four are awaited at a time

  class Reply {
    constructor(status, headers, body, activation) {
      this.status = status;
      this.headers = headers;
      this.body = body;
      this.activation = activation;
    }

    text() {
      return host.decode(this.body);
    }

    json() {
      return JSON.parse(this.text());
    }
  }

  function callFailed(order, error) {
    order.reject(new Error(`cannot call ${order.target[0]}: ${REASONS.get(error) ?? `error ${-error}`}`));
  }

  function callBegin(order) {
    const number = host.call(...order.target);
    if (number === EBUSY)
      return false;
    if (number < 0)
      callFailed(order, number);
    else
      awaited.set(number, order);
    return true;
  }

  function targetOf(name, body, { method, path = '/', query = '', headers = {}, oneWay = false }) {
    const fields = Object.entries(headers).flatMap(([key, value]) => [key, String(value)]);
    let bytes = body ?? undefined;
    let type;
    if (typeof bytes === 'string')
      [bytes, type] = [host.encode(bytes), 'text/plain; charset=utf-8'];
    else if (bytes !== undefined && !(bytes instanceof Uint8Array))
      [bytes, type] = [host.encode(JSON.stringify(bytes)), 'application/json'];
    if (type !== undefined && !Object.keys(headers).some((key) => key.toLowerCase() === 'content-type'))
      fields.push('content-type', type);
    const number = METHODS.indexOf((method ?? (bytes === undefined ? 'GET' : 'POST')).toUpperCase());
    if (number === -1)
      throw new TypeError(`no method ${method}`);
    return [String(name), number, String(path), String(query), fields.join('\0'), bytes, oneWay ? 1 : 0];
  }

  function call(name, body, options) {
    return new Promise((resolve, reject) => {
      const order = { target: targetOf(name, body, options), resolve, reject };
      if (line.length !== 0 || !callBegin(order))
        line.push(order);
    });
  }

  /** An answer came: `text` is its activation and its headers. */
  function called(number, error, status, text, bodyBytes) {
    const order = awaited.get(number);
    awaited.delete(number);
    if (error !== 0) {
      callFailed(order, error);
    } else {
      const parts = text.split('\0');
      const body = new Uint8Array(bodyBytes);
      host.reply(body);
      order.resolve(new Reply(status, pairs(parts, 1, parts.length, true), weir.asBuffer(body), parts[0]));
    }
    while (line.length !== 0 && callBegin(line[0]))
      line = line.slice(1);
  }

  // ---- the answer ----

  let answerBody;
  let answerFields;

  function done(status, type, body, fields) {
    out[STATUS] = status;
    out[TYPE] = type;
    out[BODY] = body === undefined ? BODY_NONE : typeof body === 'string' ? BODY_TEXT : BODY_BYTES;
    out[FIELDS] = fields === undefined ? 0 : 1;
    out[STATE] = DONE;
    answerFields = fields;
    answerBody = body;
  }

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

  function typeOf(value) {
    if (typeof value === 'string')
      return TYPE_TEXT;
    if (value === undefined || value === null)
      return TYPE_NONE;
    return weir.isBytes(value) ? TYPE_BYTES : TYPE_JSON;
  }

  // What is sent of a value of that type.
  function bodyOf(value, type) {
    switch (type) {
    case TYPE_NONE: return undefined;
    case TYPE_TEXT: return value;
    case TYPE_JSON: return json(value);
    default: return weir.viewOf(value);
    }
  }

  // [name, value, ...] of an object, a Map or the like; a list of values is several fields.
  function fieldsOf(headers) {
    const entries = typeof headers.entries === 'function' ? headers.entries() : Object.entries(headers);
    const fields = [];
    for (const [name, value] of entries)
      for (const one of Array.isArray(value) ? value : [value])
        fields.push(String(name), String(one));
    return fields;
  }

  function answerResponse({ status, statusCode, headers, body }) {
    const type = typeOf(body);
    const fields = headers == null ? [] : fieldsOf(headers);
    const hasType = fields.some((field, i) => i % 2 === 0 && field.toLowerCase() === 'content-type');
    done(status ?? statusCode ?? 200, hasType ? TYPE_NONE : type, bodyOf(body, type),
      fields.length === 0 ? undefined : fields.join('\0'));
  }

  function answer(result, takesParameters) {
    if (typeof result !== 'object' || result === null || result instanceof Uint8Array) {
      // A function with parameters may return a number (Vespid); nothing is an empty object (OpenWhisk).
      let value = takesParameters ? result ?? {} : result;
      if (takesParameters && typeof value === 'number')
        value = String(value);
      const type = typeOf(value);
      done(type === TYPE_NONE ? 204 : 200, type, bodyOf(value, type));
    } else if (takesParameters && 'error' in result) {
      done(502, TYPE_JSON, json(result)); // OpenWhisk's "application error"
    } else if (isResponse(result)) {
      answerResponse(result);
    } else {
      const type = typeOf(result);
      done(200, type, bodyOf(result, type));
    }
  }

  // "greet.js:3:7" of the function's innermost frame.
  function placeOf(error) {
    for (const frame of weir.stackOf(error).split('\n').slice(1)) {
      const found = /([^\s()]+:\d+(?::\d+)?)\)?$/.exec(frame);
      if (found !== null)
        return found[1];
    }
    return undefined;
  }

  // One line of what was thrown, for the caller; the whole of it goes to the log.
  function reasonOf(error) {
    if (!(error instanceof Error))
      return weir.inspect(error).split('\n', 1)[0];
    const place = placeOf(error);
    const text = error.name === 'Error' && error.message !== '' ? error.message : `${error.name}: ${error.message}`;
    return `${text.split('\n', 1)[0]}${place === undefined ? '' : ` (${place})`}`;
  }

  weir.failed = (error) => {
    if (out[STATE] !== PENDING)
      return;
    out[STATE] = FAILED;
    answerBody = 'the function threw something that cannot be shown';
    const text = error instanceof Error ? weir.stackOf(error) : `Uncaught ${weir.inspect(error)}`;
    answerBody = reasonOf(error);
    host.print(weir.STDERR, `${text}\n`);
  };

  function finished(result, takesParameters) {
    if (out[STATE] !== PENDING)
      return; // a timer of it threw before
    try {
      answer(result, takesParameters);
    } catch (error) {
      weir.failed(error);
    }
  }

  /** One call of the function: `out` says what came of it, or that it is to come. */
  function run(flags) {
    const { handler, takesParameters } = weir.loaded;
    let argument;
    out[STATE] = PENDING;
    weir.freshen();
    if (takesParameters) {
      try {
        argument = parameters(flags);
      } catch (error) {
        if (error instanceof InternalError)
          weir.failed(error); // no memory, no stack
        else
          done(400, TYPE_JSON, json({ error: `the body has no parameters: ${error.message}` }));
        return;
      }
    } else {
      argument = new Request(flags);
    }
    try {
      const result = handler(argument);
      if (typeof result?.then === 'function')
        result.then((value) => finished(value, takesParameters), weir.failed);
      else
        answer(result, takesParameters);
    } catch (error) {
      weir.failed(error);
    }
  }

  // Promises that were rejected and that nobody has asked for.
  const rejected = new Map();

  Object.assign(weir, { out, reasonOf, PENDING, DONE, STATE });
  weir.api = {
    out: out.buffer, run, called, tick: () => weir.tick(),
    /** The answer's body, or why there is none. */
    take: () => answerBody,
    /** Its headers: names and values. */
    fields: () => answerFields,
    reject(promise, reason, isHandled) {
      if (isHandled)
        rejected.delete(promise);
      else
        rejected.set(promise, reason);
    },
    forget() {
      rejected.clear();
      awaited.clear();
      answerBody = undefined;
      answerFields = undefined;
      out.fill(0);
    },
    /** All that was to run has run: is there still an error that nobody has seen? */
    unhandled() {
      for (const reason of rejected.values())
        if (out[STATE] === PENDING)
          weir.failed(reason);
        else
          host.print(weir.STDERR, `Uncaught (in promise) ${weir.inspect(reason)}\n`);
      rejected.clear();
    },
  };
})(globalThis.weir);
