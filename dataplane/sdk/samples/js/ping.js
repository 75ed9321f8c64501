// The least that a function can do. A text is sent as text/plain; charset=utf-8.
module.exports = () => 'pong\n';
