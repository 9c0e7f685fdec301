#!/bin/sh
# Makes the environment from the hashed locks: sh deploy/setup.sh run|test|check [EXTRA ...]
# Quick when nothing changed. PYTHON and VENV choose the interpreter and the folder. An extra brings what one kind of
# channel needs (requirements/extras/ lists them); one that was chosen once stays. test and check bring them all.
set -eu
cd "$(dirname "$0")/.."
tier=${1:-run}
[ $# = 0 ] || shift
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

say() { printf 'setup: %s\n' "$1"; }
stop() {
    printf 'setup: %s\n' "$1" >&2
    exit 2
}

every=""
for lock in requirements/extras/*.txt; do every="$every $(basename "$lock" .txt)"; done
extras=""
for extra in "$@"; do
    [ -f "requirements/extras/$extra.txt" ] || stop "there is no extra '$extra'; there are:$every"
    extras="$extras $extra"
done
for chosen in "$VENV"/.setup-extra-*; do
    name=${chosen##*.setup-extra-}
    [ ! -f "$chosen" ] || [ ! -f "requirements/extras/$name.txt" ] || extras="$extras $name"
done

# Each tier holds those before it, so its stamps do too.
case $tier in
run) locks="build run" tiers="run" ;;
test) locks="build run test" tiers="run test" extras=$every ;;
check) locks="build run test check" tiers="run test check" extras=$every ;;
*) stop "unknown tier '$tier': write run, test or check." ;;
esac
for extra in $extras; do locks="$locks extras/$extra" tiers="$tiers extra-$extra"; done

command -v "$PYTHON" >/dev/null ||
    stop "no '$PYTHON' here. Debian, Ubuntu: apt install python3 python3-venv"
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "'$PYTHON' is Python $version; 3.11 or newer is needed. Choose another: make PYTHON=python3.12 setup"
# Debian's python3 has `venv` but not the `ensurepip` it needs until the package is there.
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "Python's venv module is missing. Debian, Ubuntu: apt install python3-venv (or python$version-venv)"

wanted="$version $PWD $(cat deploy/setup.sh pyproject.toml requirements/*.txt requirements/extras/*.txt | sha256sum | cut -d' ' -f1)"
stands() { [ -f "$VENV/.setup-$1" ] && [ "$(cat "$VENV/.setup-$1")" = "$wanted" ]; }
missing=""
for made in $tier $(for extra in $extras; do echo "extra-$extra"; done); do stands "$made" || missing=yes; done
[ -n "$missing" ] || exit 0

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
