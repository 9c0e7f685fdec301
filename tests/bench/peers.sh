#!/bin/sh
# What `make bench-peers` runs: the peers get an environment of their own from requirements/bench.txt, hash by hash.
set -eu
cd "$(dirname "$0")/../.."
VENV=${VENV:-.venv}
theirs=$VENV-bench
if [ ! -f "$theirs/.made" ] || ! cmp -s requirements/bench.txt "$theirs/.made"; then
    "${PYTHON:-python3}" -m venv "$theirs"
    "$theirs/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
        --only-binary :all: -r requirements/bench.txt
    cp requirements/bench.txt "$theirs/.made"
fi
exec "$VENV/bin/python" -m tests.bench.peers "$theirs" --markdown var/bench-peers.md "$@"
