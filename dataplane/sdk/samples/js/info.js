// GET /info: what a function is told of its request.
exports.handler = ({ method, path, query, headers }) => ({ runtime: 'js', method, path, query, headers });
