#!/bin/sh
# Hands a letter that came back (on standard input) to the broadcaster: bounces.sh ADDRESS SECRET-FILE
# For a pipe of the mail server's; ADDRESS is the channel's inbound address, such as http://127.0.0.1:8090/in/email.
# What cannot be handed on now is tried again by the mail server: 75 is EX_TEMPFAIL.
set -eu
address=$1
secret=$2
# The secret goes in by a file that only this user reads: a command line is seen by everybody on the machine.
token=$(cat "$secret") || exit 75
header=$(mktemp) || exit 75
trap 'rm -f "$header"' EXIT
printf 'Authorization: Bearer %s\nContent-Type: message/rfc822\n' "$token" >"$header"
curl --silent --fail --max-time 30 --max-redirs 0 --output /dev/null \
    --header "@$header" --data-binary @- "$address" || exit 75
