// OpenWhisk's whisk.system/utils/echo: the parameters come back.
function main(params) {
  console.log(params);
  return params;
}
