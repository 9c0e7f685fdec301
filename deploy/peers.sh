#!/bin/sh
# Brings the real servers and browsers the tests talk to: [PEERS=all] sh deploy/peers.sh
# Distribution packages where it may install them (root, or sudo without a password), npm packages beside
# the tests. What cannot be had is named; with CI=true that is a failure. Quick when all is there.
# Large ones come with PEERS=all, and with CI=true, into a cache outside the tree: the next clone finds them there.
set -eu
cd "$(dirname "$0")/.."
missing=""
updated=""

say() { printf 'peers: %s\n' "$1"; }

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root=no
fi

have() {
    case $1 in
    postgresql) command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ;;
    kannel) command -v bearerbox >/dev/null || [ -x /usr/sbin/bearerbox ] ;;
    kannel-extras) command -v fakesmsc >/dev/null || [ -x /usr/lib/kannel/test/fakesmsc ] ;;
    gammu-smsd) command -v gammu-smsd >/dev/null ;;
    mosquitto) command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] ;;
    postfix) command -v postfix >/dev/null || [ -x /usr/sbin/postfix ] ;;
    openssh-server) command -v sshd >/dev/null || [ -x /usr/sbin/sshd ] ;;
    openssl) command -v openssl >/dev/null ;;
    python3-dkim) command -v dkimverify >/dev/null ;;
    nginx) command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] ;;
    caddy) command -v caddy >/dev/null ;;
    strace) command -v strace >/dev/null ;;
    e2fsprogs) command -v mkfs.ext4 >/dev/null || [ -x /sbin/mkfs.ext4 ] ;;
    libeatmydata1) ls /usr/lib/*/libeatmydata.so >/dev/null 2>&1 ;;
    iproute2) command -v ip >/dev/null || [ -x /sbin/ip ] ;;
    nftables) command -v nft >/dev/null || [ -x /usr/sbin/nft ] ;;
    libfaketime) ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 ;;
    # What drives the browser brings its own node, which needs this library of the system.
    libatomic1) ls /usr/lib/*/libatomic.so.1 >/dev/null 2>&1 ;;
    chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
    nodejs) command -v node >/dev/null ;;
    npm) command -v npm >/dev/null ;;
    g++ | make) command -v "$1" >/dev/null ;;
    esac
}

bring() {
    have "$1" >/dev/null && return 0
    if [ "$as_root" != no ] && command -v apt-get >/dev/null; then
        say "installing $1"
        # shellcheck disable=SC2086 # empty or two words
        [ -n "$updated" ] || { $as_root apt-get update -qq || true; updated=yes; }
        # Without a configuration of the machine's own it serves no port: tests bring theirs.
        # shellcheck disable=SC2086
        [ "$1" != postfix ] || echo "postfix postfix/main_mailer_type select No configuration" |
            $as_root debconf-set-selections
        # One at a time: a package this distribution lacks must not keep the others away.
        # shellcheck disable=SC2086
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$1" >/dev/null || true
        # They were asked for as programs: they shall neither serve ports of this machine nor look for a phone.
        case $1 in
        nginx | caddy | mosquitto | gammu-smsd | openssh-server)
            unit=$1
            [ "$1" != openssh-server ] || unit=ssh
            # shellcheck disable=SC2086
            $as_root systemctl disable --now "$unit" >/dev/null 2>&1 ||
                $as_root service "$unit" stop >/dev/null 2>&1 || true
            ;;
        esac
        have "$1" >/dev/null && return 0
    fi
    missing="$missing $1"
}

packages="postgresql kannel kannel-extras gammu-smsd mosquitto openssh-server openssl postfix python3-dkim nginx caddy strace e2fsprogs libeatmydata1 libfaketime iproute2 nftables libatomic1 chromium nodejs npm"
for package in $packages; do bring "$package"; done

if have nodejs && have npm; then
    digest=$(sha256sum <tests/peers/package-lock.json)
    stamp=tests/peers/node_modules/.stamp
    if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$digest" ]; then
        say "installing axe-core, html-validate, ical.js, s3rver, smpp and web-push-testing"
        if (cd tests/peers && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error); then
            printf '%s\n' "$digest" >"$stamp"
        else
            missing="$missing axe-core html-validate ical.js s3rver smpp web-push-testing"
        fi
    fi
else
    missing="$missing axe-core html-validate ical.js s3rver smpp web-push-testing"
fi

large() { [ "${PEERS:-}" = all ] || [ "${CI:-}" = true ]; }

# A server of Bluesky's network: 250 MB, and a minute of compiling its binding of SQLite, which is all of it that runs or is
# built here. What was compiled is kept for the next clone: it fits this lock and this node.
pds=tests/peers/bluesky
if large; then
    for package in g++ make; do bring "$package"; done
    digest=$(cat "$pds/package-lock.json" "$(command -v node || echo /dev/null)" | sha256sum | cut -d' ' -f1)
    kept="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/crisis-broadcaster/$digest"
    built="$pds/node_modules/better-sqlite3/build/Release"
    if [ ! -f "$pds/node_modules/.stamp" ] || [ "$(cat "$pds/node_modules/.stamp")" != "$digest" ]; then
        say "installing Bluesky's server (a minute or two the first time)"
        if (cd "$pds" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) && {
            if [ -f "$kept/better_sqlite3.node" ]; then
                mkdir -p "$built" && cp "$kept/better_sqlite3.node" "$built/"
            else
                (cd "$pds" && npm rebuild better-sqlite3 --loglevel=error) &&
                    mkdir -p "$kept" && cp "$built/better_sqlite3.node" "$kept/"
            fi
        }; then
            printf '%s\n' "$digest" >"$pds/node_modules/.stamp"
        else
            missing="$missing pds"
        fi
    fi
elif [ ! -f "$pds/node_modules/.stamp" ]; then
    say "left out, being large: Bluesky's server (PEERS=all brings it)"
fi

# broadcaster/testing/peers.py looks for the same folder. Made aside and renamed: what stands there is whole.
synapse=${XDG_CACHE_HOME:-$HOME/.cache}/crisis-broadcaster/synapse-$(sha256sum <tests/peers/synapse/requirements.txt | cut -c1-12)
if [ ! -x "$synapse/bin/python" ] && large; then
    say "installing Synapse (250 MB)"
    mkdir -p "$(dirname "$synapse")"
    made=$(mktemp -d "$synapse.XXXXXX")
    if "${PYTHON:-python3}" -m venv "$made" && "$made/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-input --require-hashes --only-binary :all: -r tests/peers/synapse/requirements.txt; then
        mv -T -n "$made" "$synapse"
    else
        missing="$missing synapse"
    fi
    rm -rf "$made" # what failed, or came second
fi
[ -x "$synapse/bin/python" ] || large || say "left out, being large: synapse (PEERS=all brings it)"

# A hub that tells subscribers of feeds, small: it comes always. It has no wheel and is built from its source, by its hash.
kept=${XDG_CACHE_HOME:-$HOME/.cache}/crisis-broadcaster
websub=$kept/websub-$(sha256sum <tests/peers/websub/requirements.txt | cut -c1-12)
if [ ! -x "$websub/bin/python" ]; then
    say "installing flask-websub"
    mkdir -p "$kept"
    made=$(mktemp -d "$websub.XXXXXX")
    if "${PYTHON:-python3}" -m venv "$made" && "$made/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-input --require-hashes --only-binary :all: -r tests/peers/websub/requirements.txt &&
        "$made/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps \
            --no-build-isolation -r tests/peers/websub/source.txt; then
        mv -T -n "$made" "$websub"
    else
        missing="$missing websub"
    fi
    rm -rf "$made" # what failed, or came second
fi

[ -n "$missing" ] || exit 0
say "MISSING:$missing. Tests against them do not run."
[ "$as_root" != no ] || say "installing needs root: sudo apt install $packages"
[ "${CI:-}" != true ] || exit 1
