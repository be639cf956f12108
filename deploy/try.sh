#!/bin/sh
# Build the image and try it as it is meant to be run, with docker or whatever $DOCKER says:
#
#   deploy/try.sh
#   DOCKER=podman BUILD="--format docker" deploy/try.sh
#
# It serves without root on a root that cannot be written, is healthy, shows its first key once, and has what it
# accepted when it is stopped in the middle of batches and started again. $BUILD and $RUN are further options.
set -eu
cd "$(dirname "$0")/.."
docker=${DOCKER:-docker}
name=logos-shift-try-$$

say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*"; exit 1; }
inside() { $docker exec "$name" python -c "$@"; }
at_the_end() {
  $docker rm --force "$name" >/dev/null 2>&1 || true
  $docker volume rm "$name" >/dev/null 2>&1 || true
}
trap at_the_end EXIT

$docker build ${BUILD:-} --file deploy/Dockerfile --tag logos-shift .
$docker run ${RUN:-} --detach --name "$name" --volume "$name:/data" --read-only --tmpfs /tmp --cap-drop ALL \
  --security-opt no-new-privileges logos-shift serve --host 0.0.0.0 --shutdown-seconds 20 >/dev/null

key=
for _ in $(seq 60); do
  key=$($docker logs "$name" 2>&1 | sed -n 's/^ *\(ls_admin_[0-9a-f_]*\)$/\1/p')
  if [ -n "$key" ] && inside "import urllib.request as u; u.urlopen('http://127.0.0.1:8787/ready', timeout=4)" 2>/dev/null
  then break; fi
  sleep 0.5
done
[ -n "$key" ] || fail "no first key in the log: $($docker logs "$name" 2>&1 | tail -3)"
say "ready, and the first key is in the log"

health=$(sed -n 's/^ *CMD \["python", "-c", "\(.*\)"\]$/\1/p' deploy/Dockerfile)
inside "$health" || fail "the health check says no"
[ "$($docker exec "$name" id -u)" = 10001 ] || fail "it does not run as 10001"
inside "open('/opt/written', 'w')" 2>/dev/null && fail "its root can be written"
say "healthy, as user 10001, on a root that cannot be written"

# Batches of 20 until the server does not answer; how many were accepted is the last line.
accepted=$(mktemp)
inside "
import json, sys, urllib.request, uuid
n = 0
while True:
    lines = ''.join(json.dumps({'v': 1, 'kind': 'call', 'id': str(uuid.uuid4()), 'at': 1764000000000,
        'endpoint': 'chat.completions', 'request': {'messages': []}}) + chr(10) for _ in range(20))
    asked = urllib.request.Request('http://127.0.0.1:8787/v1/records', lines.encode(),
        {'Authorization': 'Bearer ' + sys.argv[1], 'Content-Type': 'application/x-ndjson'})
    try:
        n += json.load(urllib.request.urlopen(asked, timeout=10))['new']
    except OSError:
        break
    print(n, flush=True)
" "$key" >"$accepted" 2>/dev/null &
sender=$!
for _ in $(seq 60); do [ "$(wc -l <"$accepted")" -ge 20 ] && break; sleep 0.5; done
begun=$(date +%s)
$docker stop --time 30 "$name" >/dev/null
say "stopped in the middle of batches, after $(($(date +%s) - begun)) s"
wait "$sender" || true
said=$(tail -1 "$accepted"); rm "$accepted"
[ "${said:-0}" -ge 400 ] || fail "only ${said:-0} records were accepted"
code=$($docker inspect --format '{{.State.ExitCode}}' "$name")
[ "$code" = 0 ] || fail "it ended with $code"

$docker start "$name" >/dev/null
kept=
for _ in $(seq 60); do
  kept=$(inside "
import json, sys, urllib.request
asked = urllib.request.Request('http://127.0.0.1:8787/v1/stats', headers={'Authorization': 'Bearer ' + sys.argv[1]})
print(json.load(urllib.request.urlopen(asked, timeout=4))['totals']['calls'])" "$key" 2>/dev/null) && break
  sleep 0.5
done
# A batch that was committed as the answer was cut off may be there besides.
[ "${kept:-0}" -ge "$said" ] && [ "$kept" -le $((said + 20)) ] || fail "$said records were accepted, ${kept:-none} are there"
[ "$($docker logs "$name" 2>&1 | grep -c '^ *ls_admin_')" = 1 ] || fail "the first key was shown again"
say "ended with 0, and what was accepted is there: $said accepted, $kept kept; the key was shown once"
