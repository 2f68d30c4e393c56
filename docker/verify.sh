#!/usr/bin/env bash
# Good callbacks; the wire to Kafka cut; callbacks refused; the wire restored; the same callbacks again, as Routee would
# send them. At the end ClickHouse has every one of them, once. Takes a minute, has volumes of its own, removes them.
# Arguments go to `docker compose up` (for example --pull never).
set -euo pipefail
cd "$(dirname "$0")"

readonly EACH=20
DELIVERED=$(date -u +%Y-%m-%dT%H:%M:%SZ)
# Of these a 503 is what Routee understands: it hangs up after 2 s and tries again later.
readonly ROUTEE_WAITS=2
SECRETS_FOLDER=$(mktemp -d)
export SECRETS_FOLDER SETTINGS_FILE=/dev/null
export INGEST_PUBLISHED=127.0.0.1:0 CONSOLE_PUBLISHED=127.0.0.1:0 CLICKHOUSE_PUBLISHED_PORT=0

# The project is named here: the volumes go at the end, and a COMPOSE_PROJECT_NAME from outside could name other ones.
compose() {
    docker compose --progress quiet --project-name routee-faults --file compose.yaml --file compose.faults.yaml "$@"
}

secret() { cat "$SECRETS_FOLDER/$1"; }

say() { printf '%3d s  %s\n' "$SECONDS" "$*"; }

fail() {
    say "FAILED: $*"
    compose ps --all
    compose logs --no-color --tail 15 ingest streams sinks-clickhouse
    exit 1
}

callback() { # number: what Routee posts when this SMS is delivered
    printf '{"messageId":"verify-%s","smsId":"verify-sms-%s","part":1,"parts":1,"to":"+306900000000","from":"Shop",' "$1" "$1"
    printf '"country":"GR","operator":"Cosmote","status":{"name":"Delivered","updatedDate":"%s"},' "$DELIVERED"
    printf '"price":0.04,"direction":"Outbound","originatingService":"Sms"}'
}

post() { # first last wanted: posts these callbacks; each must be answered with the wanted status in time
    local number answer
    for number in $(seq "$1" "$2"); do
        answer=$(callback "$number" | curl --silent --output /dev/null --write-out '%{http_code}' \
            --max-time "$ROUTEE_WAITS" --data-binary @- "$INGEST/callbacks/$(secret ingest_secrets)") || true
        [ "$answer" = "$3" ] || fail "callback $number was answered with $answer, not $3"
    done
}

query() {
    curl --silent --fail --max-time 5 --user "routee:$(secret clickhouse_password)" --data-binary "$1" "$CLICKHOUSE/" | tr '\t' ' '
}

eventually() { # seconds wanted command…: until the command prints the wanted text
    local deadline=$((SECONDS + $1)) wanted=$2 found
    shift 2
    until found=$("$@" || true); [ "$found" = "$wanted" ]; do
        [ "$SECONDS" -lt "$deadline" ] || fail "$* printed '$found', not '$wanted'"
        sleep 0.3
    done
}

# Its pages are for the containers only.
readiness() { compose exec --no-TTY ingest python /opt/routee/probe.py >/dev/null 2>&1 && echo ready || echo waiting; }

# SMS, changes applied to them, and refused bytes
rows() { query 'SELECT (SELECT count() FROM routee.sms), (SELECT sum(revision) FROM routee.sms), (SELECT count() FROM routee.rejected_callbacks)'; }

trap 'compose down --volumes --timeout 15 >/dev/null 2>&1; rm -r "$SECRETS_FOLDER"' EXIT
./secrets.sh
compose up --detach --wait "$@" || fail "not everything came up"
INGEST=http://$(compose port ingest 8080)
CLICKHOUSE=http://$(compose port clickhouse 8123)
say "up at $INGEST"

post 1 $EACH 200
eventually 30 "$EACH $EACH 0" rows
say "$EACH callbacks answered with 200, and in ClickHouse"

wire=$(compose config --format json | sed -n 's/.*"name": "\(.*_wire\)".*/\1/p')
ingest=$(compose ps --quiet ingest)
docker network disconnect "$wire" "$ingest"
post $((EACH + 1)) $((2 * EACH)) 503
eventually 10 waiting readiness
say "wire to Kafka cut: $EACH more answered with 503, each within $ROUTEE_WAITS s"

docker network connect "$wire" "$ingest"
eventually 30 ready readiness
say "wire restored: ready again"

post $((EACH + 1)) $((2 * EACH)) 200
eventually 30 "$((2 * EACH)) $((2 * EACH)) 0" rows
say "the refused ones posted again: $((2 * EACH)) SMS in ClickHouse, each changed once; nothing lost, nothing doubled"
