// What functions find in the runtime `js` besides the language: console, process, timers, Buffer and a few
// more, named and shaped as in Node. `weir.host` has what the worker does (js_host.c). All of this runs once;
// its memory is shared by all functions.
(function (weir) {
  'use strict';

  const { host } = weir;
  const STDOUT = 0;
  const STDERR = 1;

  // ---- text and bytes ----

  const BASE64 = /^[A-Za-z0-9+/]*$/;

  function asBuffer(bytes) {
    return Object.setPrototypeOf(bytes, Buffer.prototype);
  }

  function binary(bytes) {
    const parts = [];
    for (let i = 0; i < bytes.length; i += 4096)
      parts.push(String.fromCharCode.apply(null, bytes.subarray(i, i + 4096)));
    return parts.join('');
  }

  function fromBinary(text) {
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++)
      bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  function fromBase64(text) {
    const plain = text.replaceAll('-', '+').replaceAll('_', '/').replace(/[\s=]/g, '');
    return BASE64.test(plain) ? fromBinary(atob(plain + '='.repeat(-plain.length & 3))) : new Uint8Array(0);
  }

  function fromHex(text) {
    const bytes = new Uint8Array(text.length >> 1);
    for (let i = 0; i < bytes.length; i++) {
      const pair = text.slice(2 * i, 2 * i + 2);
      if (!/^[0-9a-fA-F]{2}$/.test(pair))
        return bytes.slice(0, i);
      bytes[i] = Number.parseInt(pair, 16);
    }
    return bytes;
  }

  function bytesOf(text, encoding = 'utf8') {
    switch (String(encoding).toLowerCase()) {
    case 'utf8': case 'utf-8': return host.encode(text);
    case 'hex': return fromHex(text);
    case 'base64': case 'base64url': return fromBase64(text);
    case 'latin1': case 'binary': case 'ascii': return fromBinary(text);
    default: throw new TypeError(`Unknown encoding: ${encoding}`);
    }
  }

  function textOf(bytes, encoding = 'utf8') {
    switch (String(encoding).toLowerCase()) {
    case 'utf8': case 'utf-8': return host.decode(bytes);
    case 'hex': return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    case 'base64': return btoa(binary(bytes));
    case 'base64url': return btoa(binary(bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    case 'latin1': case 'binary': case 'ascii': return binary(bytes);
    default: throw new TypeError(`Unknown encoding: ${encoding}`);
    }
  }

  function isBytes(value) {
    return value instanceof Uint8Array || value instanceof ArrayBuffer || ArrayBuffer.isView(value);
  }

  function viewOf(value) {
    if (value instanceof Uint8Array)
      return value;
    return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
  }

  /** The most used part of Node's. */
  class Buffer extends Uint8Array {
    static from(value, encoding) {
      if (typeof value === 'string')
        return asBuffer(bytesOf(value, encoding));
      return asBuffer(value instanceof ArrayBuffer ? new Uint8Array(value) : Uint8Array.from(value));
    }

    static alloc(size, fill = 0) {
      const bytes = new Uint8Array(size);
      return asBuffer(fill === 0 ? bytes : bytes.fill(typeof fill === 'string' ? fill.charCodeAt(0) : fill));
    }

    static allocUnsafe(size) {
      return Buffer.alloc(size);
    }

    static concat(list, length = list.reduce((sum, one) => sum + one.length, 0)) {
      const all = new Uint8Array(length);
      let used = 0;
      for (const one of list) {
        const part = one.subarray(0, length - used);
        all.set(part, used);
        used += part.length;
      }
      return asBuffer(all);
    }

    static byteLength(value, encoding) {
      return typeof value === 'string' ? bytesOf(value, encoding).length : value.byteLength;
    }

    static isBuffer(value) {
      return value instanceof Buffer;
    }

    toString(encoding, start = 0, end = this.length) {
      return textOf(start === 0 && end === this.length ? this : this.subarray(start, end), encoding);
    }

    toJSON() {
      return { type: 'Buffer', data: Array.from(this) };
    }

    equals(other) {
      return this.length === other.length && this.every((byte, i) => byte === other[i]);
    }

    slice(start, end) {
      return this.subarray(start, end);
    }

    write(text, offset = 0, encoding = 'utf8') {
      const bytes = bytesOf(text, encoding).subarray(0, this.length - offset);
      this.set(bytes, offset);
      return bytes.length;
    }
  }

  class TextEncoder {
    get encoding() {
      return 'utf-8';
    }

    encode(text = '') {
      return host.encode(String(text));
    }
  }

  class TextDecoder {
    get encoding() {
      return 'utf-8';
    }

    constructor(label = 'utf-8') {
      if (!/^utf-?8$/i.test(label))
        throw new RangeError(`The "${label}" encoding is not supported`);
    }

    decode(bytes = new Uint8Array(0)) {
      const text = host.decode(viewOf(bytes));
      return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
    }
  }

  // ---- queries ----

  function percentDecode(text) {
    const plain = text.includes('+') ? text.replaceAll('+', ' ') : text;
    if (!plain.includes('%'))
      return plain;
    const bytes = [];
    const from = host.encode(plain);
    for (let i = 0; i < from.length; i++) {
      const pair = from[i] === 0x25 ? String.fromCharCode(from[i + 1] ?? 0, from[i + 2] ?? 0) : '';
      if (/^[0-9a-fA-F]{2}$/.test(pair)) {
        bytes.push(Number.parseInt(pair, 16));
        i += 2;
      } else {
        bytes.push(from[i]);
      }
    }
    return host.decode(Uint8Array.from(bytes));
  }

  function percentEncode(text) {
    return encodeURIComponent(String(text).toWellFormed()).replaceAll('%20', '+')
      .replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  }

  class URLSearchParams {
    #pairs = [];

    constructor(from = '') {
      if (typeof from === 'object' && from !== null) {
        const pairs = typeof from[Symbol.iterator] === 'function' ? from : Object.entries(from);
        for (const [name, value] of pairs)
          this.append(name, value);
        return;
      }
      for (const part of String(from).replace(/^\?/, '').split('&')) {
        const equals = part.indexOf('=');
        if (part !== '')
          this.#pairs.push(equals === -1 ? [percentDecode(part), '']
            : [percentDecode(part.slice(0, equals)), percentDecode(part.slice(equals + 1))]);
      }
    }

    get size() {
      return this.#pairs.length;
    }

    append(name, value) {
      this.#pairs.push([String(name), String(value)]);
    }

    delete(name) {
      this.#pairs = this.#pairs.filter((pair) => pair[0] !== name);
    }

    get(name) {
      return this.#pairs.find((pair) => pair[0] === name)?.[1] ?? null;
    }

    getAll(name) {
      return this.#pairs.filter((pair) => pair[0] === name).map((pair) => pair[1]);
    }

    has(name) {
      return this.#pairs.some((pair) => pair[0] === name);
    }

    set(name, value) {
      const place = this.#pairs.findIndex((pair) => pair[0] === name);
      if (place === -1) {
        this.append(name, value);
        return;
      }
      this.#pairs = this.#pairs.filter((pair, i) => i <= place || pair[0] !== name);
      this.#pairs[place][1] = String(value);
    }

    sort() {
      this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : Number(a[0] > b[0])));
    }

    forEach(callback, self) {
      for (const [name, value] of this.#pairs)
        callback.call(self, value, name, this);
    }

    * entries() {
      for (const [name, value] of this.#pairs)
        yield [name, value];
    }

    * keys() {
      for (const pair of this.#pairs)
        yield pair[0];
    }

    * values() {
      for (const pair of this.#pairs)
        yield pair[1];
    }

    [Symbol.iterator]() {
      return this.entries();
    }

    toString() {
      return this.#pairs.map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`).join('&');
    }
  }

  // ---- time and chance ----

  let timers = [];
  let lastTimer = 0;

  function timerAdd(handler, ms, args, every) {
    if (typeof handler !== 'function')
      throw new TypeError('The "callback" argument must be of type function');
    const wait = ms >= 1 && ms <= 0x7fffffff ? Number(ms) : 1;
    const timer = { id: ++lastTimer, due: performance.now() + wait, every: every ? wait : 0, handler, args };
    timers.push(timer);
    return timer.id;
  }

  function clearTimer(id) {
    timers = timers.filter((timer) => timer.id !== id);
  }

  /** Run what is due; milliseconds until the next is, -1 = there is none. */
  weir.tick = () => {
    const now = performance.now();
    for (const timer of timers.filter((one) => one.due <= now).sort((a, b) => a.due - b.due || a.id - b.id)) {
      if (!timers.includes(timer))
        continue; // one before it cleared it
      if (timer.every !== 0)
        timer.due = now + timer.every;
      else
        clearTimer(timer.id);
      try {
        timer.handler(...timer.args);
      } catch (error) {
        weir.failed(error);
      }
      return 0; // what it promised comes before the next timer
    }
    return timers.reduce((least, { due }) => (least === -1 || due - now < least ? Math.max(due - now, 0) : least), -1);
  };

  const setTimeout = (handler, ms, ...args) => timerAdd(handler, ms, args, false);
  const setInterval = (handler, ms, ...args) => timerAdd(handler, ms, args, true);
  const setImmediate = (handler, ...args) => timerAdd(handler, 0, args, false);

  function queueMicrotask(callback) {
    Promise.resolve().then(() => {
      try {
        callback();
      } catch (error) {
        weir.failed(error);
      }
    });
  }

  const chance = new Uint32Array(64);
  const chanceBytes = new Uint8Array(chance.buffer);
  let chanceUsed = chance.length;

  Math.random = function random() {
    if (chanceUsed >= chance.length) {
      host.random(chanceBytes);
      chanceUsed = 0;
    }
    const high = chance[chanceUsed++] >>> 5;
    return (high * 0x4000000 + (chance[chanceUsed++] >>> 6)) / 0x20000000000000;
  };

  /** What was kept with the function's memory is nobody's chance. */
  weir.freshen = () => {
    chanceUsed = chance.length;
  };

  const crypto = {
    getRandomValues(array) {
      host.random(viewOf(array));
      return array;
    },
    randomUUID() {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      return textOf(bytes, 'hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    },
  };

  // ---- console ----

  const DEPTH_MAX = 3;
  const ITEMS_MAX = 100;

  /** What was thrown, and where: without the worker's own frames. */
  function stackOf(error) {
    const head = `${error.name}: ${error.message}`;
    const frames = String(error.stack ?? '').split('\n').filter((line) => line.trim() !== '' &&
      !line.includes('(weir/') && !line.includes('(native)'));
    return [head, ...frames, ...(error.cause === undefined ? [] : [`  caused by ${inspect(error.cause)}`])].join('\n');
  }

  function inspectItems(items, open, close) {
    if (items.length === 0)
      return `${open}${close}`;
    const text = items.join(', ');
    return text.length > 72 ? `${open}\n  ${items.join(',\n').replaceAll('\n', '\n  ')}\n${close}` : `${open} ${text} ${close}`;
  }

  function inspectObject(value, seen) {
    const below = (one) => inspect(one, [...seen, value]);
    const short = (list) => (list.length > ITEMS_MAX
      ? [...list.slice(0, ITEMS_MAX), `... ${list.length - ITEMS_MAX} more items`] : list);
    if (seen.includes(value))
      return '[Circular]';
    if (value instanceof Error)
      return stackOf(value);
    if (value instanceof Date)
      return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
    if (value instanceof RegExp)
      return String(value);
    const name = Object.getPrototypeOf(value)?.constructor?.name;
    if (seen.length > DEPTH_MAX)
      return Array.isArray(value) ? '[Array]' : `[${name ?? 'Object'}]`;
    if (value instanceof Promise)
      return 'Promise {}';
    if (value instanceof Map)
      return `Map(${value.size}) ${inspectItems(short(Array.from(value, ([key, one]) => `${below(key)} => ${below(one)}`)), '{', '}')}`;
    if (value instanceof Set)
      return `Set(${value.size}) ${inspectItems(short(Array.from(value, below)), '{', '}')}`;
    if (Array.isArray(value))
      return inspectItems(short(Array.from(value.length > ITEMS_MAX ? value.slice(0, ITEMS_MAX + 1) : value, below)), '[', ']');
    if (ArrayBuffer.isView(value) && 'length' in value)
      return `${name}(${value.length}) ${inspectItems(short(Array.from(value.subarray(0, ITEMS_MAX + 1), String)), '[', ']')}`;
    const fields = Object.entries(value).map(([key, one]) =>
      `${/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? key : JSON.stringify(key)}: ${below(one)}`);
    return `${name === 'Object' || name === undefined ? '' : `${name} `}${inspectItems(fields, '{', '}')}`;
  }

  function inspect(value, seen = []) {
    switch (typeof value) {
    case 'string': return seen.length === 0 ? value : `'${value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll("'", "\\'")}'`;
    case 'bigint': return `${value}n`;
    case 'symbol': return value.toString();
    case 'function': return value.name === '' ? '[Function (anonymous)]' : `[Function: ${value.name}]`;
    case 'object': return value === null ? 'null' : inspectObject(value, seen);
    default: return Object.is(value, -0) ? '-0' : String(value);
    }
  }

  function format(...values) {
    let used = 1;
    const [first] = values;
    if (typeof first !== 'string' || values.length === 1 || !first.includes('%'))
      return values.map((value) => inspect(value)).join(' ');
    const text = first.replace(/%[sdifjoOc%]/g, (mark) => {
      if (mark === '%%')
        return '%';
      if (used === values.length)
        return mark;
      const value = values[used++];
      switch (mark) {
      case '%d': case '%f': return String(Number(value));
      case '%i': return String(Math.trunc(Number(value)));
      case '%j': return JSON.stringify(value);
      case '%c': return '';
      case '%s': return typeof value === 'object' ? inspect(value) : String(value);
      default: return inspect(value, [undefined]);
      }
    });
    return [text, ...values.slice(used).map((value) => inspect(value))].join(' ');
  }

  const printer = (stream) => (...values) => host.print(stream, `${format(...values)}\n`);
  const console = {
    log: printer(STDOUT), info: printer(STDOUT), debug: printer(STDOUT), dir: (value) => console.log(value),
    error: printer(STDERR), warn: printer(STDERR),
    trace: (...values) => console.error(stackOf(Object.assign(new Error(format(...values)), { name: 'Trace' }))),
    assert: (isTrue, ...values) => isTrue || console.error('Assertion failed:', ...values),
  };

  // ---- process ----

  const stream = (number) => ({
    fd: number + 1, isTTY: false,
    write(chunk) {
      host.print(number, typeof chunk === 'string' ? chunk : host.decode(viewOf(chunk)));
      return true;
    },
  });
  const process = {
    env: {}, argv: ['weir'], pid: 1, platform: 'linux', title: 'weir', exitCode: undefined,
    versions: { quickjs: weir.version },
    stdout: stream(STDOUT), stderr: stream(STDERR),
    exit: (status) => host.exit(Number(status ?? process.exitCode ?? 0) | 0),
    nextTick: (callback, ...args) => queueMicrotask(() => callback(...args)),
    cwd: () => '/',
    hrtime: Object.assign((before = [0, 0]) => {
      const now = performance.now();
      const ns = Math.round((now % 1000) * 1e6) - before[1];
      return [Math.trunc(now / 1000) - before[0] - Number(ns < 0), ns < 0 ? ns + 1e9 : ns];
    }, { bigint: () => BigInt(Math.round(performance.now() * 1e6)) }),
    getBuiltinModule: (name) => weir.builtins.get(name.replace(/^node:/, '')),
  };

  const sleeper = (add) => (ms, value) => new Promise((resolve) => {
    add(() => resolve(value), ms);
  });
  const globals = {
    Buffer, TextEncoder, TextDecoder, URLSearchParams, console, crypto, process, queueMicrotask, setTimeout, setInterval,
    setImmediate, clearTimeout: clearTimer, clearInterval: clearTimer, clearImmediate: clearTimer, global: globalThis,
  };
  for (const [name, value] of Object.entries(globals))
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });

  // What require() and import have besides a function's own files.
  weir.builtins = new Map(Object.entries({
    buffer: { Buffer }, process, console, util: { inspect, format, TextEncoder, TextDecoder }, url: { URLSearchParams },
    crypto: { randomUUID: crypto.randomUUID, getRandomValues: crypto.getRandomValues, webcrypto: crypto },
    timers: { setTimeout, setInterval, setImmediate, clearTimeout: clearTimer, clearInterval: clearTimer, clearImmediate: clearTimer },
    'timers/promises': { setTimeout: sleeper(setTimeout), setImmediate: (value) => sleeper(setTimeout)(0, value) },
  }));
  Object.assign(weir, { STDERR, inspect, stackOf, isBytes, viewOf, asBuffer, URLSearchParams });
})(globalThis.weir);
