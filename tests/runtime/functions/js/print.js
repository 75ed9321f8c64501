exports.handler = () => {
  console.log('to stdout');
  console.error('to stderr');
  return 'printed\n';
};
