const deeper = (depth) => 1 + deeper(depth + 1);
exports.handler = () => String(deeper(0));
