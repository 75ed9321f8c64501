// The same on Node's own http server: node server.js PORT
const http = require('http');

const hello = (response, text) => {
	const { name = 'world' } = text ? JSON.parse(text) : {};
	const body = JSON.stringify({ message: `Hello, ${name}!` });
	response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
	response.end(body);
};
const server = http.createServer((request, response) => {
	if (request.method === 'GET') {
		hello(response, '');
		return;
	}
	const pieces = [];
	request.on('data', (piece) => pieces.push(piece));
	request.on('end', () => hello(response, Buffer.concat(pieces).toString()));
});
server.keepAliveTimeout = 0;
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
