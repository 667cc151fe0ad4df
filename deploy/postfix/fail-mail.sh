#!/bin/sh
# One round of mail that fails, each in another way:
#
#   reject    a relay that is denied; a header that is not liked
#   bounced   a user that does not exist, here and at full.example
#   deferred  busy.example says 452, nobody listens for away.example; after ten minutes both expire
set -eu

from=news@sender.example
round=$(date +%s)

say() {
    # It ends with an error where Postfix refuses, which is what it is here for.
    smtp-source -m 1 -f "$from" "$@" 127.0.0.1:25 >/dev/null 2>&1 || true
}
say -t "victim-${round}@elsewhere.example"
say -t postmaster@example.com -S "You won the lottery, no ${round}"

for recipient in "nobody-${round}@example.com" "anna-${round}@full.example" \
    "bob-${round}@busy.example" "carl-${round}@away.example"; do
    printf 'Subject: round %s\nTo: %s\n\nHello.\n' "$round" "$recipient" |
        sendmail -f "$from" "$recipient"
done
