// What runs in a worker's Node process: calls come in through dispatch(), answers go back through the
// addon. `id` names a call everywhere; AsyncLocalStorage carries it through whatever a handler starts, so
// that what it prints and throws later belongs to its own call, however many are in flight.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { inspect } = require('node:util');

const host = require('./weir_node.node');
const output = require('./output.js');
const { called, over } = require('./call.js');
const { Request, pairs } = require('./request.js');
const { load } = require('./load.js');
const { answer, parameters } = require('./answer.js');

const FUNCTION_FAILED = 0;
const FUNCTION_NOT_LOADED = 1;

const context = new AsyncLocalStorage();
let loaded; // the function: version, handler, takesParameters
let loading; // a promise of it, while an ES module is on its way
let isLoading = false; // still true when the next load begins: the last one was ended by its deadline

// One line of what was thrown, for the caller; the whole of it goes to the log.
function reasonOf(error) {
  const text = error instanceof Error && error.message !== ''
    ? (error.name === 'Error' ? error.message : `${error.name}: ${error.message}`)
    : String(error instanceof Error ? error.name : inspect(error));
  return text.split('\n', 1)[0];
}

function failed(id, error, kind = FUNCTION_FAILED) {
  try {
    output.write(id, output.STDERR, `${error instanceof Error ? error.stack : `Uncaught ${inspect(error)}`}\n`);
    host.fail(id, kind, reasonOf(error));
  } catch { // a getter or inspect of its own throws
    host.fail(id, kind, 'the function threw something that cannot be shown');
  }
  over(id);
}

function finished(id, result, takesParameters) {
  over(id);
  try {
    answer(host, id, result, takesParameters);
  } catch (error) {
    failed(id, error);
  }
}

function run(id, body) {
  const { handler, takesParameters } = loaded;
  let argument = new Request(host, id, body);
  let result;
  if (takesParameters) {
    try {
      argument = parameters(argument);
    } catch (error) {
      answer(host, id, { status: 400, body: { error: `the body has no parameters: ${reasonOf(error)}` } }, false);
      return;
    }
  }
  try {
    result = handler(argument);
  } catch (error) {
    failed(id, error);
    return;
  }
  if (typeof result?.then === 'function')
    result.then((value) => finished(id, value, takesParameters), (error) => failed(id, error));
  else
    finished(id, result, takesParameters);
}

// The function in its newest version, for a call of that version.
function prepare(id, version) {
  const [space, name, file, handler, memoryBytes, variables] = host.describe(id);
  host.limit(memoryBytes);
  for (const text of variables)
    process.env[text.slice(0, text.indexOf('='))] = text.slice(text.indexOf('=') + 1);
  const again = loaded !== undefined || isLoading; // modules that are half done must not be found
  loaded = undefined;
  isLoading = true;
  const keep = (found) => {
    loaded = { version, ...found };
  };
  let found;
  try {
    found = load({ space, name, file, handler, version, again });
  } finally {
    isLoading = false;
  }
  return typeof found?.then === 'function' ? found.then(keep) : keep(found);
}

// The first call of a version: the instance itself may only want to know whether it can be loaded.
function runFirst(id, body) {
  if (host.isProbe(id))
    host.answer(id, 204, 0);
  else
    run(id, body);
}

function dispatch(id, version, body) {
  context.enterWith(id);
  if (loaded?.version === version) {
    run(id, body);
    return;
  }
  try {
    loading ??= prepare(id, version);
  } catch (error) {
    failed(id, error, FUNCTION_NOT_LOADED);
    return;
  }
  if (loading === undefined) {
    runFirst(id, body);
    return;
  }
  loading.then(() => {
    loading = undefined;
    runFirst(id, body);
  }, (error) => {
    loading = undefined;
    failed(id, error, FUNCTION_NOT_LOADED);
  });
}

output.capture(host, context);
// Nobody can go on after exit(): what the addon does with it ends the process at once.
process.reallyExit = (status) => host.leave(status ?? 0);
process.on('uncaughtException', (error) => failed(context.getStore(), error));
process.on('unhandledRejection', (error) => failed(context.getStore(), error));
for (const name of Object.keys(process.env))
  if (name.startsWith('WEIR_'))
    delete process.env[name];
const [, , plan] = process.argv.splice(0, 3, process.execPath);
host.start(dispatch, plan, called(host, pairs));
