exports.handler = (request) => {
  const code = Number(request.searchParams.get('code'));
  return { status: code, headers: { 'X-Test': 'yes', 'content-type': 'text/plain' }, body: `status ${code}\n` };
};
