// hello for node and js: GET /hello, or POST /hello {"name":"Ada"}
exports.handler = (request) => {
	const { name = 'world' } = request.body.length ? request.json() : {};
	return { message: `Hello, ${name}!` };
};
