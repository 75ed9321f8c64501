#!/usr/bin/env bash
# The one place that names Debian packages. Installs what a purpose needs and is not there yet:
#   tools/packages.sh build|test|bench ...      several sets may be named; test includes build
#   tools/packages.sh --list SET ...            only print the names
# Fast and offline when everything is installed. Uses sudo where it is not run as root.
set -euo pipefail

build_set=(cmake ninja-build gcc libc6-dev pkg-config liburing-dev libsqlite3-dev libcjson-dev libxxhash-dev
	sqlite3 curl php-cli libphp-embed php-dev
	python3-dev nodejs libnode-dev util-linux wabt clang lld wasi-libc libclang-rt-dev-wasm32
	libsodium-dev libssl-dev libarchive-dev libyaml-dev libbpf-dev bpftool libnuma-dev)
test_set=(clang libclang-rt-dev libcmocka-dev python3 iproute2 wrk spin strace procps git file)
bench_set=(nginx-light php-fpm wrk linux-perf python3 procps)
# Each of these makes one test possible, which is skipped without it (exit 77).
optional_set=(ccache clang-format clang-tidy shellcheck codespell qemu-system-x86 busybox-static cpio python3-flask)
# Without these a runtime is left out of the build: npm brings QuickJS for js (tools/quickjs).
runtime_set=(npm)
# Servers that bench/run and bench/runtimes compare with; one that is missing is left out of their tables.
peers_set=(h2o haproxy nodejs fcgiwrap python3-gunicorn python3-uvicorn python3-uvloop python3-httptools)

fail() {
	echo "packages: $*" >&2
	exit 1
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# A name that differs between Debian 12 and 13, or that something else may provide.
resolve() {
	case $1 in
	pkg-config) alternatives="pkgconf pkg-config" ;;
	libclang-rt-dev) alternatives="$(clang_runtime)" ;;
	libclang-rt-dev-wasm32) alternatives="$(clang_runtime)-wasm32" ;;
	nginx-light) alternatives="nginx-light nginx nginx-core" ;;
	clang | clang-format | clang-tidy) alternatives="$1 $1-14 $1-19" ;;
	php-cli) alternatives="php-cli php8.2-cli php8.4-cli" ;;
	libphp-embed) alternatives="libphp-embed libphp8.2-embed libphp8.4-embed" ;;
	php-dev) alternatives="php-dev php8.2-dev php8.4-dev" ;;
	php-fpm) alternatives="php-fpm php8.2-fpm php8.4-fpm" ;;
	qemu-system-x86) alternatives="qemu-system-x86" ;;
	*) alternatives=$1 ;;
	esac
}

# The sanitizers' and libFuzzer's run-time library carries clang's version in its name.
clang_runtime() {
	local version
	version=$(clang --version 2>/dev/null | sed -n 's/.*clang version \([0-9]*\).*/\1/p' | head -n 1)
	[ -n "$version" ] || version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\).*/\1/p' | head -n 1)
	echo "libclang-rt-${version:-14}-dev"
}

# Debian 13 packages llhttp for C; Debian 12 ships the same sources with Node.
llhttp_package() {
	if installed libllhttp-dev; then
		echo libllhttp-dev
	elif installed node-llhttp; then
		echo node-llhttp
	elif apt-cache show libllhttp-dev >/dev/null 2>&1; then
		echo libllhttp-dev
	else
		echo node-llhttp
	fi
}

present() {
	local name
	# Packages of Node from elsewhere bring the headers themselves, and conflict with Debian's.
	if [ "$1" = libnode-dev ] && [ -e /usr/include/node/node_api.h ]; then
		return 0
	fi
	if [ "$1" = npm ] && command -v npm >/dev/null; then
		return 0
	fi
	resolve "$1"
	for name in $alternatives; do
		if installed "$name"; then
			return 0
		fi
	done
	return 1
}

list_only=no
[ "${1:-}" != --list ] || { list_only=yes; shift; }
[ $# -gt 0 ] || fail "name a set: build, test or bench"

wanted=() optional=()
for set in "$@"; do
	case $set in
	build) wanted+=("${build_set[@]}") optional+=("${runtime_set[@]}") ;;
	test) wanted+=("${build_set[@]}" "${test_set[@]}") optional+=("${runtime_set[@]}" "${optional_set[@]}") ;;
	bench) wanted+=("${build_set[@]}" "${bench_set[@]}") optional+=("${runtime_set[@]}" "${peers_set[@]}") ;;
	*) fail "unknown set '$set'; there are: build, test, bench" ;;
	esac
done

command -v dpkg-query >/dev/null || fail "this is not Debian (no dpkg-query); install the equivalents of: ${wanted[*]}"
wanted+=("$(llhttp_package)")
if [ $list_only = yes ]; then
	printf '%s\n' "${wanted[@]}" "${optional[@]}" | sort -u
	exit 0
fi

missing=() missing_optional=()
for package in $(printf '%s\n' "${wanted[@]}" | sort -u); do
	present "$package" || missing+=("${alternatives%% *}")
done
for package in "${optional[@]}"; do
	present "$package" || missing_optional+=("$package")
done
[ ${#missing[@]} -gt 0 ] || [ ${#missing_optional[@]} -gt 0 ] || exit 0

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1
}

as_root=()
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		as_root=(sudo)
	elif [ ${#missing[@]} -gt 0 ]; then
		fail "Debian packages are missing and neither root nor sudo is at hand; as root run: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
	else
		echo "packages: without ${missing_optional[*]} runtimes are left out, tests skipped, or servers not compared" >&2
		exit 0
	fi
fi

# Fetching that failed is only a warning to apt-get, and the names it then cannot find are not the trouble.
fetch_trouble=""
lists_update() {
	apt_get update || true
	fetch_trouble=$(grep -E '^(E:|W: Failed)' "$log" | head -n 1 || true)
}

# A fresh machine has no package lists yet: the names that depend on the release are looked up again.
if ! apt-cache show cmake >/dev/null 2>&1; then
	echo "packages: reading the package lists"
	lists_update
	if apt-cache show cmake >/dev/null 2>&1; then
		rm -f "$log"
		exec "$0" "$@"
	fi
	fail "apt-get update brought no package lists: ${fetch_trouble:-is a Debian mirror set in /etc/apt/sources.list?}"
fi

install() {
	apt_get install --no-install-recommends "$@" || { lists_update; apt_get install --no-install-recommends "$@"; }
}

if [ ${#missing[@]} -gt 0 ]; then
	echo "packages: installing ${missing[*]}"
	install "${missing[@]}" || fail "apt-get could not install ${missing[*]}: $(grep -E '^(E|Err)' "$log" | head -n 1)${fetch_trouble:+; apt-get update: $fetch_trouble}"
fi
if [ ${#missing_optional[@]} -gt 0 ]; then
	echo "packages: installing ${missing_optional[*]}"
	for package in "${missing_optional[@]}"; do
		install "$package" || echo "packages: without $package (not installable here) a runtime is left out, tests are skipped, or a server is not compared" >&2
	done
fi
