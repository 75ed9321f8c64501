#!/bin/sh
# layout.sh PRINTER GOLDEN: the formats in shared memory are what they were when their version was
# last changed, and no struct of dataplane/abi is missing from the list.
set -eu
printer=$1
golden=$2
now=$(mktemp)
trap 'rm -f "$now"' EXIT
"$printer" >"$now"
if ! diff -u "$golden" "$now"; then
	echo "layout: a shared-memory format changed. If that is meant: raise the ABI major version, run"
	echo "  $printer >$golden"
	echo "and say so in CHANGELOG.md."
	exit 1
fi
status=0
for name in $(sed -n 's/^struct \(weir_[a-z_]*\) {.*/\1/p' "$WEIR_SOURCE"/dataplane/abi/*.h); do
	if ! grep -q "^$name bytes=" "$golden"; then
		echo "layout: struct $name is not in layout_print.c"
		status=1
	fi
done
exit $status
