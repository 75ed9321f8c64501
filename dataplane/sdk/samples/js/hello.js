// GET /hello, GET /hello?name=Ada, POST /hello {"name":"Ada"}
//
// The OpenWhisk way: main() gets the query's parameters and the body's JSON object as one object, and what
// it returns is the answer as JSON.
exports.main = ({ name = 'world' }) => ({ message: `Hello, ${name}!` });
