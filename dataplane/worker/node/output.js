// process.stdout and process.stderr of a worker: what is written becomes lines of the log of the call
// that wrote it.
'use strict';

const { Writable } = require('node:stream');

const STDOUT = 1;
const STDERR = 2;
let host;
let context;

function write(id, stream, textOrBytes) {
  host.print(id, stream, textOrBytes);
}

function streamOf(number) {
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, encoding, done) {
      write(context.getStore(), number, chunk);
      done();
    },
  });
  stream.fd = number;
  stream.destroy = () => stream; // as Node's own, which can't be closed either
  return stream;
}

function capture(theHost, theContext) {
  host = theHost;
  context = theContext;
  for (const [name, number] of [['stdout', STDOUT], ['stderr', STDERR]]) {
    const stream = streamOf(number);
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => stream });
  }
}

module.exports = { STDOUT, STDERR, capture, write };
