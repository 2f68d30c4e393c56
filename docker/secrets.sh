#!/usr/bin/env bash
# Makes the passwords, tokens, keys and certificates of the containers, each in a file of its own below `secrets`, which
# git ignores. What is there stays: run it again after an upgrade, or after you deleted a file to have a new one.
# A value in the environment, under the name of its setting, is taken instead of a random one: INGEST_SECRETS=… ./secrets.sh
set -euo pipefail
cd "$(dirname "$0")"

# Other users of this host stay out by the folder. The files are for every user of a container that gets them.
readonly FOLDER=${SECRETS_FOLDER:-./secrets}
umask 022
mkdir -p "$FOLDER"
chmod 700 "$FOLDER"
# Compose looks for the folder under this name, and says so when it is not set.
if [ -z "${SECRETS_FOLDER:-}" ] && ! grep -qs '^SECRETS_FOLDER=' .env; then
    echo "SECRETS_FOLDER=$FOLDER" >> .env
fi

readonly KEY=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
# Each part that shows a certificate, and the names by which the others reach it.
readonly HOSTS='kafka DNS:kafka
clickhouse DNS:clickhouse,DNS:localhost,IP:127.0.0.1
ingest DNS:ingest,DNS:localhost,IP:127.0.0.1
admin DNS:admin'

random() { openssl rand -hex 24; }

secret() { # file value
    [ -s "$FOLDER/$1" ] || printf '%s' "$2" > "$FOLDER/$1"
}

quietly() { # command…: what it says is of interest only when it fails
    local said
    said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2 && return 1; }
}

# The key of the authority is not kept: for new certificates delete tls_* and run this again.
certificates() {
    local made name names
    made=$(mktemp -d)
    quietly openssl req -x509 "${KEY[@]}" -keyout "$made/ca" -out "$made/tls_ca.pem" -days 825 -subj /CN=routee-callbacks
    while read -r name names; do
        printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$names" > "$made/extensions"
        quietly openssl req -new "${KEY[@]}" -keyout "$made/key" -out "$made/request" -subj "/CN=$name"
        quietly openssl x509 -req -in "$made/request" -CA "$made/tls_ca.pem" -CAkey "$made/ca" -CAcreateserial \
            -extfile "$made/extensions" -days 825 -out "$made/certificate"
        cat "$made/key" "$made/certificate" > "$made/tls_$name.pem"
    done <<< "$HOSTS"
    chmod 644 "$made"/tls_*.pem
    mv "$made"/tls_*.pem "$FOLDER"
    rm -r "$made"
}

secret ingest_secrets "${INGEST_SECRETS:-$(random)}"
secret console_tokens "${CONSOLE_TOKENS:-support:$(random):full,campaigns:$(random):masked}"
secret console_read_token "${CONSOLE_READ_TOKEN:-$(random)}"
own="console:$(cat "$FOLDER/console_read_token"):full"
secret streams_read_tokens "${STREAMS_READ_TOKENS:-support:$(random):full,dashboard:$(random):masked,$own}"
secret streams_worker_token "${STREAMS_WORKER_TOKEN:-$(random)}"
secret erasure_key "${ERASURE_KEY:-$(openssl rand -hex 32)}"
secret streams_hmac_key "${STREAMS_HMAC_KEY:-$(openssl rand -hex 32)}"
# Of the application at Routee, for the backfill: it can not be made here.
secret routee_application_secret "${ROUTEE_APPLICATION_SECRET:-}"
secret clickhouse_password "${CLICKHOUSE_PASSWORD:-$(random)}"
secret grafana_password "$(random)"
for user in topics ingest backfill streams sinks console tools; do secret "kafka_password_$user" "$(random)"; done

# ClickHouse itself knows only the hash of the password.
cat > "$FOLDER/clickhouse_user.xml" <<XML
<clickhouse>
    <users>
        <default remove="remove"/>
        <routee>
            <password_sha256_hex>$(openssl dgst -sha256 -r "$FOLDER/clickhouse_password" | cut -d ' ' -f 1)</password_sha256_hex>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
        </routee>
    </users>
</clickhouse>
XML

[ -s "$FOLDER/tls_ca.pem" ] || certificates
