#!/bin/sh
# Every shell script of the repository passes shellcheck (warnings and errors).
cd "$WEIR_SOURCE" || exit 1
command -v shellcheck >/dev/null || { echo "skipped: shellcheck is not installed"; exit 77; }
git rev-parse --git-dir >/dev/null 2>&1 || { echo "skipped: not a git checkout"; exit 77; }
git ls-files | while read -r file; do
	[ -f "$file" ] || continue
	case $(head -c 64 "$file" | head -n 1 | tr -d '\0') in
	'#!'*bash* | '#!/bin/sh'*) echo "$file" ;;
	esac
done | xargs -r shellcheck --severity=warning
