// Any method, any body: the same bytes come back. `request.body` is a Buffer, a Uint8Array.
exports.handler = (request) => ({
  headers: { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' },
  body: request.body,
});
