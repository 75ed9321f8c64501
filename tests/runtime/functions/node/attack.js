// GET /attack?do=WHAT&path=PATH&pid=N: see functions/native/attack.c. What JavaScript cannot ask the
// kernel for is left out in sandbox.py. Answers the errno, 0 where it worked.
const fs = require('node:fs');
const net = require('node:net');
const { spawnSync } = require('node:child_process');

// The errno of what happens: Node gives it negative.
const errnoOf = (error) => Math.abs(error.errno ?? error.info?.errno ?? 0);

function tried(action) {
  try {
    action();
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}

function listen(options) {
  return new Promise((done) => {
    const server = net.createServer();
    server.on('error', (error) => done(errnoOf(error)));
    server.listen(options, () => server.close(() => done(0)));
  });
}

const ways = {
  read: (path) => tried(() => fs.closeSync(fs.openSync(path, 'r'))),
  write: (path) => tried(() => {
    fs.writeFileSync(path, '');
    fs.unlinkSync(path);
  }),
  segment: (path, pid, at) => tried(() => {
    const file = fs.openSync(path, 'r');
    try {
      fs.readSync(file, Buffer.alloc(8), 0, 8, at);
    } finally {
      fs.closeSync(file);
    }
  }),
  socket: () => listen({ port: 0, host: '127.0.0.1' }),
  local: () => listen({ path: `\0weir-attack-${process.pid}` }),
  kill: (path, pid) => tried(() => process.kill(pid, 0)),
  fork: () => tried(() => {
    const { error } = spawnSync('/bin/true');
    if (error)
      throw error;
  }),
};

exports.handler = async ({ searchParams }) => {
  const what = searchParams.get('do');
  return String(await ways[what](searchParams.get('path'), Number(searchParams.get('pid')), BigInt(searchParams.get('at') ?? 0)));
};
