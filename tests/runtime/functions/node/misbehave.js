// ?do=block|disk|body|log: see functions/native/misbehave.c.
const fs = require('node:fs');

const PIECE = Buffer.alloc(1 << 16, 'x');

const ways = {
  disk() {
    const file = fs.openSync('/tmp/full', 'w');
    let count = 0;
    try {
      for (;;)
        count += fs.writeSync(file, PIECE);
    } catch (error) {
      return `${Math.abs(error.errno)} ${count}`;
    } finally {
      fs.closeSync(file);
      fs.unlinkSync('/tmp/full');
    }
  },
  body: () => Buffer.alloc(4 * 2 ** 30 - 1, 'x'),
  log() {
    for (let i = 0; i < 200000; i++)
      console.log(`line ${i} of a function that talks too much`);
    return 'logged\n';
  },
  block: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600000),
};

exports.handler = ({ searchParams }) => ways[searchParams.get('do')]();
