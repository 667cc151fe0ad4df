#!/bin/sh
# Starts rsyslog, Postfix and its neighbours, then fails mail until it is told to stop.
# In: MAILFAULT_HOST and MAILFAULT_PORT, where the receiver is; SECONDS_BETWEEN rounds of mail.
set -eu

# The root file system may be read-only; these are on writable mounts.
mkdir -p /run/mailfault /var/spool/rsyslog /var/spool/postfix /var/lib/postfix
chown postfix /var/lib/postfix
chmod 0755 /var/lib/postfix
sed -e "s/target=\"127.0.0.1\"/target=\"${MAILFAULT_HOST}\"/" \
    -e "s/port=\"5514\"/port=\"${MAILFAULT_PORT}\"/" \
    /usr/share/mailfault/50-mailfault-tcp.conf > /run/mailfault/50-mailfault-tcp.conf

rm -f /dev/log
rsyslogd -n -i /run/mailfault/rsyslogd.pid &
rsyslogd=$!
until [ -S /dev/log ]; do
    kill -0 "$rsyslogd" # it ended: so do we
    sleep 0.1
done

# The servers that refuse are Postfix's own test programs. Nobody listens on 2527.
smtp-sink -u nobody -f RCPT -B '550 5.1.1 The account that you tried to reach does not exist' \
    127.0.0.1:2525 10 &
full=$!
smtp-sink -u nobody -r RCPT -b '452 4.2.2 The mailbox is over quota, try again later' \
    127.0.0.1:2526 10 &
busy=$!
postfix start

stop() {
    trap '' TERM INT
    postfix stop
    # rsyslogd sends or saves what it still has.
    kill "$full" "$busy" "$rsyslogd"
    wait "$rsyslogd" || true
    exit 0
}
trap stop TERM INT

while true; do
    fail-mail.sh || echo "fail-mail.sh: status $?" >&2
    sleep "${SECONDS_BETWEEN}" &
    wait $!
done
