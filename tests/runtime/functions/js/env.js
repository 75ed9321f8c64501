exports.handler = () => process.env.WEIR_TEST ?? 'unset';
