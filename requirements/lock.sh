#!/bin/sh
# Writes the hashed locks again from pyproject.toml and proves that every package has a wheel for each
# Python and machine we promise: sh requirements/lock.sh [--upgrade]. Needs uv.
# build, run, test and check are disjoint: each holds what those before it do not. One lock for each extra stands between
# run and test; two extras may hold the same package, at the same version.
set -eu
cd "$(dirname "$0")/.."
upgrade=${1:-}

before=$(mktemp) # what a lock holds no more
pinned=$(mktemp) # what has its version already
trap 'rm -f "$before" "$pinned"' EXIT

compile() {
    name=$1
    shift
    # shellcheck disable=SC2046,SC2086 # one option a line, names without blanks; empty or one word
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
        --no-emit-index-url --no-header --constraint "$pinned" $upgrade \
        $(sed -nE 's/^([a-z0-9._-]+)==.*/--no-emit-package \1/p' "$before") \
        --output-file "requirements/$name.txt" "$@"
    cat "requirements/$name.txt" >>"$pinned"
}

compile build --group build
cp "$pinned" "$before"
compile run pyproject.toml
cp "$pinned" "$before"
for extra in $(sed -n '/^\[project.optional-dependencies\]/,/^$/s/^\([a-z0-9-]*\) = .*/\1/p' pyproject.toml); do
    compile "extras/$extra" pyproject.toml --extra "$extra"
done
cp "$pinned" "$before"
compile test pyproject.toml --all-extras --group test
cp "$pinned" "$before"
compile check pyproject.toml --all-extras --group test --group check
# Whom the bench measures beside us: an environment of its own, which knows nothing of ours.
# shellcheck disable=SC2086 # empty or one word
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
    --no-emit-index-url --no-header $upgrade --output-file requirements/bench.txt requirements/bench.in
# A homeserver for the tests, in an environment of its own as well.
# shellcheck disable=SC2086 # empty or one word
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
    --no-emit-index-url --no-header $upgrade --output-file tests/peers/synapse/requirements.txt tests/peers/synapse/requirements.in
# And a WebSub hub; what of it has no wheel stands in source.txt, by hand.
# shellcheck disable=SC2086 # empty or one word
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
    --no-emit-index-url --no-header $upgrade --output-file tests/peers/websub/requirements.txt tests/peers/websub/requirements.in

for python in 3.11 3.12 3.13; do
    for machine in x86_64 aarch64; do
        # shellcheck disable=SC2046 # names without blanks
        uv pip install --quiet --dry-run --require-hashes --only-binary :all: --target "$before.none" \
            --python-version "$python" --python-platform "$machine-manylinux_2_36" \
            $(for lock in requirements/extras/*.txt; do echo "-r $lock"; done) \
            -r requirements/build.txt -r requirements/run.txt -r requirements/test.txt -r requirements/check.txt
        echo "lock: Python $python on $machine: a wheel for every package"
    done
done
