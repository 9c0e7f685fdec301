#!/bin/sh
# Makes the environment from the hashed locks: sh deploy/setup.sh run|test|check
# Quick when nothing changed. PYTHON and VENV choose the interpreter and the folder.
set -eu
cd "$(dirname "$0")/.."
tier=${1:-run}
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

say() { printf 'setup: %s\n' "$1"; }
stop() {
    printf 'setup: %s\n' "$1" >&2
    exit 2
}

# Each tier holds those before it, so its stamps do too.
case $tier in
run) locks="build run" tiers="run" ;;
test) locks="build run test" tiers="run test" ;;
check) locks="build run test check" tiers="run test check" ;;
*) stop "unknown tier '$tier': write run, test or check." ;;
esac

command -v "$PYTHON" >/dev/null ||
    stop "no '$PYTHON' here. Debian, Ubuntu: apt install python3 python3-venv"
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "'$PYTHON' is Python $version; 3.11 or newer is needed. Choose another: make PYTHON=python3.12 setup"
# Debian's python3 has `venv` but not the `ensurepip` it needs until the package is there.
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "Python's venv module is missing. Debian, Ubuntu: apt install python3-venv (or python$version-venv)"

wanted="$version $PWD $(cat deploy/setup.sh pyproject.toml requirements/*.txt | sha256sum | cut -d' ' -f1)"
stamp="$VENV/.setup-$tier"
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

clear=""
if [ -x "$VENV/bin/python" ]; then
    there=$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo broken)
    if [ "$there" != "$version" ]; then
        [ -f "$VENV/pyvenv.cfg" ] || stop "$VENV is not an environment of ours; move it away."
        say "$VENV has Python $there; making it again with $version"
        clear=--clear
    fi
fi
if [ -n "$clear" ] || [ ! -x "$VENV/bin/pip" ]; then
    "$PYTHON" -m venv $clear "$VENV"
fi

# `broadcaster` and `channels` are names of other packages too, and installers overwrite silently.
"$VENV/bin/python" - <<'PY' || exit 2
import sys
from importlib.metadata import packages_distributions

owners = packages_distributions()
for name in ("broadcaster", "channels"):
    others = sorted(set(owners.get(name, [])) - {"crisis-broadcaster"})
    if others:
        sys.exit(
            f"setup: the package {', '.join(others)} in this environment already owns the import name "
            f"'{name}'. Uninstall it, or choose another folder: make VENV=.venv-broadcaster setup"
        )
PY

say "installing from requirements/ into $VENV (a minute or two the first time)"
arguments=""
for lock in $locks; do arguments="$arguments -r requirements/$lock.txt"; done
# shellcheck disable=SC2086 # options and names without blanks
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --require-hashes --only-binary :all: $arguments
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --no-index --no-deps --no-build-isolation --editable .
# Whoever starts it later may not be able to write here, and then each start would compile everything anew.
"$VENV/bin/python" -m compileall -q broadcaster channels
for made in $tiers; do printf '%s\n' "$wanted" >"$VENV/.setup-$made"; done
say "ready: $VENV/bin/broadcaster"
