#!/bin/sh
# Make the files of the folder `secrets`, which docker-compose.yml hands to the services. Safe to repeat: what is there
# stays. Secrets of a .env of earlier versions are taken over. The folder opens for its owner alone; the files in it
# can be read by all, because the services run as users that own nothing here.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets

# from_env NAME: print the value of a variable in .env, without quotes
from_env() {
  [ -f .env ] || return 0
  sed -n "s/^[[:space:]]*$1=//p" .env | tail -n 1 | sed "s/^'\(.*\)'[[:space:]]*\$/\1/; s/^\"\(.*\)\"[[:space:]]*\$/\1/"
}

# keep FILE VALUE: write a secret, unless there is one
keep() {
  [ -e "secrets/$1" ] || { printf '%s' "$2" > "secrets/$1"; echo "made secrets/$1"; }
}

# pick FILE NAME: take a secret over from .env, or make one of 256 random bits
pick() {
  found=$(from_env "$2")
  keep "$1" "${found:-$(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n')}"
}

pick postgres-superuser POSTGRES_PASSWORD
pick pepper POSTROOM_PEPPER
pick sealing-key POSTROOM_SEALING_KEY
for each in database-owner database-api database-worker database-operator \
            broker-api broker-worker broker-operator broker-pusher; do
  pick "$each" NOTHING_OF_EARLIER_VERSIONS
done
keep sealing-key-before ""
keep issuer-client-secret "$(from_env POSTROOM_ISSUER_INTROSPECTION_CLIENT_SECRET)"

if [ ! -e secrets/smtp-url ]; then
  relay=$(from_env SMTP_URL)
  if [ -z "$relay" ]; then
    echo "The mail relay: smtp://HOST, smtp+starttls://USER:PASSWORD@HOST or smtps://USER:PASSWORD@HOST, with :PORT if needed."
    echo "To try things without sending mail: smtp://mail-sink:1025"
    read -r relay
  fi
  keep smtp-url "$relay"
fi
chmod 0700 secrets
chmod 0444 secrets/*
