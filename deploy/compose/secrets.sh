#!/bin/sh
# Makes what compose.yaml needs and does not have yet: secrets in .env, and a certificate that signs itself, for trials.
set -eu
cd "$(dirname "$0")"
umask 077
if [ ! -e .env ]; then
    for name in POSTGRESQL_PASSWORD S3_SECRET_KEY SECRET_KEY; do
        printf '%s=%s\n' "$name" "$(openssl rand -hex 32)"
    done > .env
fi
[ -e tls.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 \
    -subj "/CN=${1:-localhost}" -addext "subjectAltName=DNS:${1:-localhost}" -keyout tls.key -out tls.crt 2>/dev/null
