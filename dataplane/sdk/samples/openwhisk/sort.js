// OpenWhisk's whisk.system/utils/sort: `lines`, a list of texts, in order.
function main({ lines = [] }) {
  return { lines: [...lines].sort() };
}
