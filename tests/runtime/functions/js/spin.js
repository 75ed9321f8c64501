exports.handler = () => {
  for (;;);
};
