// From a file to the function in it: CommonJS or ES module, exported or just declared.
'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const WORD = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const SCOPE = Symbol('weir scope');

// May a file declare a function of that name? Not if it is a reserved word.
function isIdentifier(name) {
  try {
    return WORD.test(name) && typeof new Function(`'use strict'; typeof ${name}`) === 'function';
  } catch {
    return false;
  }
}

// Is the file an ES module? By its name, else by what the nearest package.json says, as Node has it.
function isEsModule(file) {
  const ending = path.extname(file);
  if (ending === '.mjs' || ending === '.cjs')
    return ending === '.mjs';
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR')
        throw new Error(`${path.join(folder, 'package.json')}: ${error.message}`);
    }
    if (folder === path.dirname(folder))
      return false;
  }
}

// A CommonJS module, and those of `names` that its file only declares. The line that asks for them comes
// last, so that all others keep their numbers.
function loadCommon(file, names) {
  const module = new Module(file, null);
  module.filename = file;
  module.paths = Module._nodeModulePaths(path.dirname(file));
  module[SCOPE] = undefined;
  module.weirScope = (found) => {
    module[SCOPE] = found;
  };
  Module._cache[file] = module;
  const declared = names.map((name) => `${name}: typeof ${name} === 'undefined' ? undefined : ${name}`);
  const source = fs.readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  try {
    module._compile(`${source}\n;module.weirScope({ ${declared.join(', ')} });`, file);
  } catch (error) {
    delete Module._cache[file];
    if (error instanceof SyntaxError && /import statement outside|Unexpected token 'export'/.test(error.message))
      error.message += ' (an ES module is a .mjs file, or lies beside a package.json with "type": "module")';
    throw error;
  }
  module.loaded = true;
  delete module.weirScope;
  return { exported: module.exports, declared: module[SCOPE] ?? {} };
}

// The one function that a file declares, as Vespid has it: also right where the action's name is another.
function onlyDeclared(file) {
  const found = [...fs.readFileSync(file, 'utf8').matchAll(/^(?:async\s+)?function\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)/gmu)];
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

// {handler, takesParameters}, or a promise of it. A function named main, and one that its file declares
// without exporting it (OpenWhisk, Vespid), takes parameters; every other one a request.
function load({ name, file, handler, version, again }) {
  const resolved = require.resolve(file);
  const names = handler !== '' ? [handler] : ['handler', 'main', name, ...onlyDeclared(resolved)];
  const found = ({ exported, declared }) => {
    const one = pick(exported, declared, names);
    if (one === undefined)
      throw new Error(`${path.basename(file)} has no function ${names.slice(0, 3).join(', ')}`);
    return one;
  };
  if (again)
    for (const key of Object.keys(require.cache))
      if (!key.startsWith(__dirname + path.sep))
        delete require.cache[key];
  process.argv[1] = resolved;
  if (!isEsModule(resolved))
    return found(loadCommon(resolved, names.filter(isIdentifier)));
  const url = pathToFileURL(resolved);
  url.search = again ? `weir=${version}` : '';
  return import(url.href).then((exported) => found({ exported, declared: {} }));
}

module.exports = { load };
