#!/bin/sh
# Acts out a power cut on this machine: `make demo`. Runs until Ctrl-C; with ONESHOT=1 it ends by itself, with 0 only
# if every channel accepted every message. Needs no root, leaves var/demo behind and no process.
set -eu
cd "$(dirname "$0")/.."
bin=${VENV:-.venv}/bin
config=config/demo.yaml
room=var/demo
sandbox_at=127.0.0.1:8093
daemon="" sandbox=""

say() { printf 'demo: %s\n' "$1"; }

# A child that ended stays as a zombie until it is waited for, and kill -0 takes it for alive.
alive() { [ -n "$1" ] && state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) && [ "$state" != Z ]; }

end() {
    [ -n "$1" ] || return 0
    kill "$1" 2>/dev/null || true
    tenths=0
    while alive "$1" && [ $tenths -lt 150 ]; do sleep 0.1; tenths=$((tenths + 1)); done
    kill -9 "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

end_all() {
    code=$1
    trap - EXIT INT TERM HUP
    end "$daemon"
    # The public server outlives a daemon that is killed; one that ended in order took it along.
    public=$(cat $room/public/.public.pid 2>/dev/null || true)
    if [ -n "$daemon" ] && alive "$public" && grep -q broadcaster.public "/proc/$public/cmdline"; then
        kill "$public" 2>/dev/null || true
    fi
    end "$sandbox"
    exit "$code"
}

stop() {
    say "$1" >&2
    [ -z "${2:-}" ] || tail -n 15 "$2" >&2
    exit 1
}

# Waits until the last arguments succeed as a command: pid, log, what it is, command …
until_ready() {
    pid=$1 log=$2 what=$3 tries=0
    shift 3
    until "$@" >/dev/null 2>&1; do
        alive "$pid" || stop "$what did not start:" "$log"
        tries=$((tries + 1))
        [ $tries -lt 120 ] || stop "$what is not ready after a minute:" "$log"
        sleep 0.3
    done
}

# Shows a command as one would type it, and runs it. A failure is remembered: the rest is still worth seeing.
failed=""
type_in() {
    printf '\n$ broadcaster'
    for word in "$@"; do
        case $word in
        *" "*) printf ' "%s"' "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$bin/broadcaster" "$@" || failed=yes
}

trap 'end_all $?' EXIT
if [ -n "${ONESHOT:-}" ]; then trap 'end_all 130' INT; else trap 'end_all 0' INT; fi
trap 'end_all 143' TERM HUP

unset BROADCASTER_URL BROADCASTER_TOKEN
"$bin/python" -m broadcaster.testing.demo $config $room $sandbox_at || exit 1
. ./$room/operator.env
# What this machine's user keeps (a login, commands not yet sent) has no part in the demo.
export XDG_STATE_HOME="$PWD/$room/state" XDG_CONFIG_HOME="$PWD/$room/state"

"$bin/broadcaster" sandbox --listen $sandbox_at --journal $room/received.jsonl >$room/sandbox.log 2>&1 &
sandbox=$!
until_ready $sandbox $room/sandbox.log "the sandbox" test -s $room/sandbox.log
"$bin/broadcaster" serve --config $config >$room/daemon.log 2>&1 &
daemon=$!
until_ready $daemon $room/daemon.log "the daemon" "$bin/broadcaster" status

cat <<'TEXT'

A power cut in Norra Ekbyn, played on this machine. Page and feeds are real.
SMS, Mastodon, X and the webhook are stand-ins: nothing leaves this machine, no
phone rings, no post is published. The operator's language here is Swedish.
TEXT

type_in subscribers import deploy/demo-subscribers.csv --channel sms \
    --source "Påhittade abonnenter" --legal-basis "Numren är reserverade för fiktion"
type_in report --area norra-ekbyn --since "$(date -u -d '-12 minutes' +%Y-%m-%dT%H:%MZ)" --etr 3h --next 45m --yes --wait 60 \
    --text-en "The power is out in Norra Ekbyn. The cause is unknown, an engineer is on the way. Keep fridge and freezer shut." \
    "Strömmen är borta i Norra Ekbyn. Orsaken är okänd, en montör är på väg. Håll kyl och frys stängda."
type_in update A1 --etr 5h --next 45m --yes --wait 60 \
    --text-en "It takes longer than we thought: a digger has torn a cable that must be replaced, not mended." \
    "Det tar längre tid än vi trodde: en grävmaskin har slitit av en kabel som måste bytas, inte lagas."
type_in correct A1 --yes --wait 60 \
    --text-en "We wrote that a digger tore the cable. In fact a tree fell on the line. We are sorry for the mistake." \
    "Vi skrev att en grävmaskin slet av kabeln. Rätt är att ett träd föll över ledningen. Vi beklagar felet."
type_in status A1

cat <<TEXT

Look at:
  http://127.0.0.1:8080/              what residents read (in English: /en/)
  http://127.0.0.1:8080/feed.atom     the feed; also /feed.rss and /feed.json
  http://$sandbox_at/              what phones and followers would have received
                                      (stand-ins for SMS, Mastodon, X and the webhook)
Speak yourself, in a second terminal:
  . $room/operator.env
  $bin/broadcaster status
TEXT

if [ -n "${ONESHOT:-}" ]; then
    [ -z "$failed" ] || stop "not every channel accepted; the daemon's log is $room/daemon.log"
    say "every channel accepted every message."
    exit 0
fi
[ -z "$failed" ] || say "not every channel accepted; the daemon's log is $room/daemon.log"
say "Ctrl-C ends it."
wait $daemon || true
stop "the daemon ended by itself:" $room/daemon.log
