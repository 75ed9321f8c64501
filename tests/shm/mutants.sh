#!/bin/sh
# mutants.sh: each patch of tests/shm/mutants damages a copy of the sources or of the Promela model;
# the test that its second line names must then fail, and must pass on the undamaged copy.
# Environment: WEIR_SOURCE the repository, WEIR_BUILD the build folder, CC the compiler.
set -eu
cc=${CC:-cc}
home=$WEIR_BUILD/mutants
flags="-std=gnu17 -D_GNU_SOURCE -O1 -g -w -pthread -I."

# Copy what the tests need into $1.
copy() {
	rm -rf "$1"
	mkdir -p "$1/dataplane" "$1/tests/shm"
	cp -RL "$WEIR_SOURCE/dataplane/abi" "$WEIR_SOURCE/dataplane/base" "$WEIR_SOURCE/dataplane/shm" "$1/dataplane/"
	cp "$WEIR_SOURCE"/tests/shm/*.c "$WEIR_SOURCE"/tests/shm/*.h "$WEIR_SOURCE"/tests/shm/*.pml \
		"$WEIR_SOURCE"/tests/shm/*.sh "$1/tests/shm/"
}

# Build the test $2 in the copy $1; the program is $1/test. What is not simulated in the interleaving
# test is compiled first, without sim.h.
build() (
	cd "$1"
	plain="dataplane/base/assert.c dataplane/base/fd.c dataplane/base/log.c dataplane/shm/chunk.c dataplane/shm/segment.c
		dataplane/shm/segment_create.c dataplane/base/cpu.c dataplane/base/numa.c dataplane/base/numa_memory.c dataplane/shm/shard_board.c"
	atomic="dataplane/shm/call.c dataplane/shm/doorbell.c dataplane/shm/ring.c"
	# shellcheck disable=SC2086
	case $2 in
	interleave)
		$cc $flags -c $plain
		$cc $flags -include tests/shm/sim.h tests/shm/test_interleave.c tests/shm/sim.c $atomic ./*.o -o test -lcmocka -lnuma
		;;
	tsan) $cc $flags -fsanitize=thread tests/shm/test_stress.c $atomic $plain -o test -lcmocka -lnuma ;;
	*) $cc $flags "tests/shm/test_$2.c" $atomic $plain -o test -lcmocka -lnuma ;;
	esac
)

# Run the test $2 of the copy $1; its exit status is what it says of the copy.
run() {
	if [ "$2" = spin ]; then
		(cd "$1" && sh tests/shm/spin.sh tests/shm/link.pml)
		return
	fi
	build "$1" "$2" || return 99
	(cd "$1" && TSAN_OPTIONS=halt_on_error=1 WEIR_SEED=1 timeout 60 ./test)
}

mkdir -p "$home"
failures=0
skipped=0
count=0
controls=" "
for patch in "$WEIR_SOURCE"/tests/shm/mutants/*.patch; do
	name=$(basename "$patch" .patch)
	kind=$(sed -n '2s/^test: //p' "$patch")
	tree=$home/$name
	if [ "$kind" = spin ] && ! command -v spin >/dev/null; then
		echo "$name: skipped, spin is not installed"
		skipped=$((skipped + 1))
		continue
	fi
	case $controls in
	*" $kind "*) ;;
	*)
		controls="$controls$kind "
		# The full model has its own test; here only the mutants of it run.
		if [ "$kind" != spin ]; then
			copy "$home/control"
			if ! run "$home/control" "$kind" >"$home/control-$kind.log" 2>&1; then
				echo "$kind: fails without any damage, see $home/control-$kind.log"
				tail -20 "$home/control-$kind.log"
				failures=$((failures + 1))
			fi
		fi
		;;
	esac
	copy "$tree"
	if ! patch -s -f -p1 -d "$tree" <"$patch"; then
		echo "$name: the patch does not apply any more; make it again"
		failures=$((failures + 1))
		continue
	fi
	count=$((count + 1))
	status=0
	run "$tree" "$kind" >"$tree.log" 2>&1 || status=$?
	case $status in
	0)
		echo "$name: NOT FOUND by $kind"
		failures=$((failures + 1))
		;;
	99)
		echo "$name: does not compile, see $tree.log"
		failures=$((failures + 1))
		;;
	*) echo "$name: found by $kind" ;;
	esac
	rm -rf "$tree"
done
echo "$count mutants, $failures failures, $skipped skipped"
[ "$failures" -eq 0 ] || exit 1
[ "$count" -gt 0 ] || exit 77
