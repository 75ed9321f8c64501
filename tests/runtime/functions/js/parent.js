exports.handler = (request) => ({ parent: request.parent });
