// The body, as text, in capitals.
exports.handler = (request) => request.text().toUpperCase();
