// GET /chain: asks the function `hello` for a greeting and wraps it; a body is handed on. ?function=NAME calls
// another one; with ?one-way=1 nobody waits for it, it runs after this answer.
exports.handler = async (request) => {
  const name = request.searchParams.get('function') ?? 'hello';
  const body = request.body.length === 0 ? undefined : request.body;
  const oneWay = request.searchParams.has('one-way');
  const reply = await request.call(name, body, { oneWay, headers: { 'content-type': 'application/json' } });
  return { called: name, status: reply.status, answer: oneWay ? null : reply.json() };
};
