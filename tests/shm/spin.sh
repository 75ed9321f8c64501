#!/bin/sh
# spin.sh MODEL: check a Promela model in every order: assertions and invalid end states.
# Exit 77 where spin is missing.
set -eu
model=$1
if ! command -v spin >/dev/null; then
	echo "skipped: spin is not installed (Debian package spin)"
	exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$model" "$scratch/model.pml"
cd "$scratch"
spin -a model.pml
# COLLAPSE: half the memory for a fifth more time; MEMLIM in MiB keeps a mistake from eating the machine.
"${CC:-cc}" -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c
./pan -m100000 >report
grep -E '^State-vector|states, stored|error|assertion violated|invalid end state' report
if ! grep -q 'errors: 0' report || grep -q 'Search not completed' report; then
	if [ -f model.pml.trail ]; then
		echo "the way to it:"
		spin -t -p model.pml | tail -60
	fi
	exit 1
fi
