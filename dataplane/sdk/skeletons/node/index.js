// @NAME@: says hello. Deploy it with: ctrlctl fn deploy @DIR@ --runtime node --name @NAME@
//
// The file is loaded once in each process; the handler is called for each request, up to 64 at the same
// time, and may be async. console.log goes to the log: ctrlctl fn logs @NAME@
const greeting = process.env.GREETING ?? 'Hello'; // ctrlctl fn env set @NAME@ GREETING=Hi

exports.handler = async (request) => {
  const { name = 'world' } = request.body.length > 0 ? request.json() : {};
  console.log('greeting', name);
  return { message: `${greeting}, ${name}!` };
};
