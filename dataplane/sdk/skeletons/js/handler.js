// @NAME@: says hello. Deploy it with: ctrlctl fn deploy @DIR@ --name @NAME@
//
// The file runs once; the handler is called for each request and may be async. console.log goes to the
// log: ctrlctl fn logs @NAME@
const greeting = process.env.GREETING ?? 'Hello'; // ctrlctl fn env set @NAME@ GREETING=Hi

exports.handler = async (request) => {
  const { name = 'world' } = request.body.length > 0 ? request.json() : {};
  console.log('greeting', name);
  return { message: `${greeting}, ${name}!` };
};
