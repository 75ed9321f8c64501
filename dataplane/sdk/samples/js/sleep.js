// GET /sleep/250 (route '/sleep/{ms}') or /sleep?ms=250. While it waits the worker runs other calls.
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

exports.handler = async (request) => {
  const ms = Number(request.params.ms ?? request.searchParams.get('ms') ?? 0);
  if (!Number.isInteger(ms) || ms < 0)
    return { status: 400, body: 'ms must be a whole number\n' };
  await sleep(ms);
  return `slept ${ms} ms\n`;
};
