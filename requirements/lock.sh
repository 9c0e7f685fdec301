#!/bin/sh
# Writes the hashed locks again from pyproject.toml and proves that every package has a wheel for each
# Python and machine we promise: sh requirements/lock.sh [--upgrade]. Needs uv.
# build, run, test and check are disjoint: each holds what those before it do not.
set -eu
cd "$(dirname "$0")/.."
upgrade=${1:-}

before=$(mktemp)
trap 'rm -f "$before"' EXIT

compile() {
    name=$1
    shift
    # shellcheck disable=SC2046,SC2086 # one option a line, names without blanks; empty or one word
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
        --no-emit-index-url --no-header --constraint "$before" $upgrade \
        $(sed -nE 's/^([a-z0-9._-]+)==.*/--no-emit-package \1/p' "$before") \
        --output-file "requirements/$name.txt" "$@"
    cat "requirements/$name.txt" >>"$before"
}

compile build --group build
compile run pyproject.toml
compile test pyproject.toml --group test
compile check pyproject.toml --group test --group check
# Whom the bench measures beside us: an environment of its own, which knows nothing of ours.
# shellcheck disable=SC2086 # empty or one word
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
    --no-emit-index-url --no-header $upgrade --output-file requirements/bench.txt requirements/bench.in

for python in 3.11 3.12 3.13; do
    for machine in x86_64 aarch64; do
        uv pip install --quiet --dry-run --require-hashes --only-binary :all: --target "$before.none" \
            --python-version "$python" --python-platform "$machine-manylinux_2_36" \
            -r requirements/build.txt -r requirements/run.txt -r requirements/test.txt -r requirements/check.txt
        echo "lock: Python $python on $machine: a wheel for every package"
    done
done
