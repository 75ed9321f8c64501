// Calls the function `hello` with its own body and wraps the answer:
//
//   {"called":"hello","status":200,"answer":{"message":"Hello, world!"}}
//
// ?function=NAME calls NAME instead. With ?one-way=1 nobody waits: status is 202, and NAME runs after this answer.
exports.handler = async (request) => {
  const name = request.searchParams.get('function') ?? 'hello';
  const body = request.body.length === 0 ? undefined : request.body;
  const reply = await request.call(name, body, {
    headers: { 'content-type': 'application/json' },
    oneWay: request.searchParams.has('one-way'),
  });
  return { called: name, status: reply.status, answer: reply.json() };
};
