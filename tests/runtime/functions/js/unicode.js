exports.handler = async () => 'grüße, 世界 🎉\n';
