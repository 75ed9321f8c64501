// From a file to the function in it: CommonJS or ES module, exported or just declared; require() and import
// of the function's own files. As the runtime `node` does it, but that a .js file with import or export is an
// ES module wherever it lies.
(function (weir) {
  'use strict';

  const { host, out } = weir;
  const WORD = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
  const RESERVED = new Set(('arguments await break case catch class const continue debugger default delete do else enum eval export extends ' +
    'false finally for function if implements import in instanceof interface let new null package private protected public return static super ' +
    'switch this throw true try typeof var void while with yield').split(' '));
  const ENDINGS = ['', '.js', '.cjs', '.json', '/index.js'];
  const modules = new Map(); // by file

  // ---- files ----

  // `name` as seen from the file `from`, both relative to the function's folder.
  function resolve(from, name) {
    const parts = from.split('/').slice(0, -1);
    for (const part of name.split('/')) {
      if (part === '..' && parts.length === 0)
        throw new Error(`${name}: a function has only the files of its folder`);
      if (part === '..')
        parts.pop();
      else if (part !== '.' && part !== '')
        parts.push(part);
    }
    return parts.join('/');
  }

  function missing(from, name) {
    const why = /^\.{0,2}\//.test(name) ? '' : `; the runtime js has ${[...weir.builtins.keys()].join(', ')} ` +
      'and the function\'s own files: packages need --runtime node';
    return Object.assign(new Error(`Cannot find module '${name}' from ${from}${why}`), { code: 'MODULE_NOT_FOUND' });
  }

  // [file, text] of a name that require() or import has.
  function find(from, name) {
    if (name.startsWith('./') || name.startsWith('../') || name === '.' || name === '..') {
      const base = resolve(from, name);
      for (const ending of ENDINGS) {
        const text = host.file(`${base}${ending}`);
        if (text !== undefined)
          return [`${base}${ending}`, text];
      }
    }
    throw missing(from, name);
  }

  // ---- CommonJS ----

  function requireFrom(from) {
    const require = (name) => {
      const builtin = weir.builtins.get(String(name).replace(/^node:/, ''));
      if (builtin !== undefined)
        return builtin;
      const [file, text] = find(from, String(name));
      const module = modules.get(file) ?? runCommon(file, text, '');
      return module.exports;
    };
    require.resolve = (name) => find(from, name)[0];
    return require;
  }

  const wrapped = (text, last) =>
    `(function (exports, require, module, __filename, __dirname) { ${text.replace(/^#!/, '//')}\n;${last}})`;

  // Has it import or export? Those words may also stand in a text or a comment.
  function isModule(file, text) {
    if (file.endsWith('.mjs') || file.endsWith('.cjs'))
      return file.endsWith('.mjs');
    if (!/^\s*(?:import\b(?!\s*\()|export\b)/m.test(text))
      return false;
    try {
      host.compile(wrapped(text, ''), file);
      return false;
    } catch {
      return true;
    }
  }

  // The line that asks for what the file only declares comes last, so that all others keep their numbers.
  function runCommon(file, text, last) {
    const module = { exports: {}, filename: file, id: file, loaded: false, weirScope() {} };
    modules.set(file, module);
    if (file.endsWith('.json')) {
      module.exports = JSON.parse(text);
      return module;
    }
    module.weirScope = (found) => {
      module.scope = found;
    };
    try {
      const body = host.compile(wrapped(text, last), file);
      body.call(module.exports, module.exports, requireFrom(file), module, file, file.replace(/\/?[^/]*$/, '') || '.');
    } catch (error) {
      modules.delete(file);
      throw error;
    }
    module.loaded = true;
    delete module.weirScope;
    return module;
  }

  // ---- ES modules: what QuickJS asks for ----

  /** The file that `name` is, for the file `from`. */
  weir.api.normalize = (from, name) => {
    const builtin = name.replace(/^node:/, '');
    return weir.builtins.has(builtin) ? `node:${builtin}` : find(from, name)[0];
  };

  /** Its source. */
  weir.api.source = (file) => {
    if (!file.startsWith('node:')) {
      const text = host.file(file);
      return file.endsWith('.json') ? `export default ${text};` : text;
    }
    const names = Object.keys(weir.builtins.get(file.slice(5))).filter((name) => WORD.test(name));
    return `const all = process.getBuiltinModule('${file}'); export default all; export const { ${names.join(', ')} } = all;`;
  };

  // ---- which function ----

  // May a file declare a function of that name? Not if it is a reserved word.
  const isIdentifier = (name) => WORD.test(name) && !RESERVED.has(name);

  // The one function that a file declares, as Vespid has it: also right where the action's name is another.
  function onlyDeclared(text) {
    const found = [...text.matchAll(/^(?:async\s+)?function\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)/gmu)];
    return found.length === 1 ? [found[0][1]] : [];
  }

  function pick(exported, declared, names) {
    for (const name of names)
      for (const holder of [exported, exported?.default])
        if (typeof holder?.[name] === 'function' && Object.hasOwn(holder, name))
          return { handler: holder[name].bind(holder), takesParameters: name === 'main' };
    if (typeof exported === 'function' || typeof exported?.default === 'function')
      return { handler: typeof exported === 'function' ? exported : exported.default, takesParameters: false };
    for (const name of names)
      if (typeof declared[name] === 'function')
        return { handler: declared[name], takesParameters: name !== 'handler' };
    return undefined;
  }

  /** Load `file`. `variables`: "NAME=value" with NULs between. `out` says what came of it. */
  weir.api.load = (file, handler, name, variables) => {
    out[weir.STATE] = weir.PENDING;
    weir.freshen();
    for (const text of variables === '' ? [] : variables.split('\0'))
      process.env[text.slice(0, text.indexOf('='))] = text.slice(text.indexOf('=') + 1);
    process.argv = ['weir', file];
    const keep = (exported, declared, names) => {
      weir.loaded = pick(exported, declared, names);
      if (weir.loaded === undefined)
        throw new Error(`${file} has no function ${names.slice(0, 3).join(', ')}`);
      out[weir.STATE] = weir.DONE;
    };
    try {
      const text = host.file(file);
      if (text === undefined)
        throw new Error(`cannot read ${file}`);
      const names = handler !== '' ? [handler] : ['handler', 'main', name, ...onlyDeclared(text)];
      if (isModule(file, text)) {
        host.module(text, file).then((exported) => keep(exported, {}, names)).catch(weir.failed);
        return;
      }
      const declared = names.filter(isIdentifier).map((one) => `${one}: typeof ${one} === 'undefined' ? undefined : ${one}`);
      const module = runCommon(file, text, `module.weirScope({ ${declared.join(', ')} });`);
      keep(module.exports, module.scope ?? {}, names);
    } catch (error) {
      weir.failed(error);
    }
  };

  // ---- warming ----

  // QuickJS makes much of the language when it is first used. What most functions use is used once here, in the
  // memory that all share, so that they differ from it by little and their calls write little.
  const WARM = `
    const list = [3, 1, 2].map((n) => n + 1).filter((n) => n > 1).sort((a, b) => a - b);
    class Thing { #n = 1; static of(n) { return new Thing(n); } constructor(n) { this.n = n; } get twice() { return this.n * 2 + this.#n; } }
    async function later(request) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const { method, path, query, headers, params, activation, deadline, searchParams } = request;
      try { JSON.parse('{'); } catch (error) { console.log(error.message, error.stack, [1, { a: 'b' }]); }
      for (const [key, value] of Object.entries(headers)) console.error('%s', key, value.split('-').join('_'));
      const map = new Map([[1, 2]]), set = new Set(list);
      return { status: 200, headers: { 'x-a': 'b' }, body: { method, path, query, params, activation, deadline, n: [...map.keys(), ...set.values()],
        a: searchParams.get('a'), text: request.text().toUpperCase().trim().replace(/A+/g, 'b').padStart(3), parsed: request.json(), d: new Date(0).toISOString(),
        more: [Thing.of(2).twice, Math.max(1, Math.floor(2.5)), parseInt('12'), Number('1'), String(2), (1.5).toFixed(1), 'abc'.includes('b'),
          'abc'.startsWith('a'), 'abc'.slice(1), 'a,b'.match(/b/), list.reduce((a, b) => a + b, 0), list.includes(2), list.find((n) => n === 2),
          list.some(Boolean), list.concat([1]).slice(1).reverse(), Array.isArray(list), Object.keys(params), encodeURIComponent('ä'), request.body.length,
          Buffer.from('a').toString('base64'), process.env.A ?? 'none', isNaN(1), Object.assign({}, { a: 1 }), Math.random()] } };
    }
    exports.text = (request) => \`text \${request.method}\\n\`;
    exports.bytes = ({ body }) => body;
    exports.fails = () => { throw new TypeError('warm'); };
    exports.later = later;
    exports.main = ({ name = 'world' }) => ({ message: \`Hello, \${name}!\`, at: Date.now() > 0 });`;

  const hostKept = { ...host };

  weir.api.warm = () => {
    const body = host.encode('{"name":"x"}');
    const head = ['POST', '/warm', 'a=1&b=%20', '0'.repeat(32), '4102444800000', '1', 'id', 'x', 'host', 'a', 'content-type', 'application/json'];
    Object.assign(host, {
      head: () => head.join('\0'), length: () => body.length, text: () => '{"name":"x"}', file: (file) => (file === 'warm.js' ? WARM : undefined), print() {},
      body(bytes, first) {
        bytes.set(body.subarray(first), first);
        return body.length - first;
      },
    });
    for (const name of ['text', 'bytes', 'fails', 'main', 'later', 'none']) {
      modules.clear();
      weir.api.load('warm.js', name, 'warm', 'A=b');
      for (let flags = 0; weir.loaded !== undefined && flags < 4; flags++)
        weir.api.run(flags);
    }
  };

  /** After the jobs that warm() left. */
  weir.api.warmed = () => {
    Object.assign(host, hostKept);
    modules.clear();
    weir.loaded = undefined;
    process.env = {};
    weir.api.forget();
  };

  delete globalThis.weir;
  return weir.api;
})(globalThis.weir);
