// ?do=block|body|log: see functions/native/misbehave.c. There are no files, so no disk to fill; waiting is all that blocks.
const ways = {
  body: () => 'x'.repeat(2 ** 30 - 1),
  log() {
    for (let i = 0; i < 200000; i++)
      console.log(`line ${i} of a function that talks too much`);
    return 'logged\n';
  },
  block: () => new Promise(() => setTimeout(() => {}, 600000)),
};

exports.handler = ({ searchParams }) => ways[searchParams.get('do')]();
