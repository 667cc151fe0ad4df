#!/usr/bin/env bash
# A machine of its own for one document: run by `unshare` in new namespaces for mounts, network,
# processes and host name. /etc, /var and the checkout are the real ones, but what is written to them
# is gone with the machine; ports are free, and nothing outside can be reached.
#
#   machine.sh CHECKOUT VENV WORK COMMAND...
set -euo pipefail
checkout=$1 venv=$2 work=$3
shift 3

mount -t tmpfs disk "$work/disk"
overlay() { # LOWER PLACE
    local layers
    layers=$(mktemp -d -p "$work/disk")
    mkdir "$layers/upper" "$layers/work"
    chmod 755 "$layers" "$layers/upper"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$layers/upper,workdir=$layers/work" "$2"
}
overlay /etc /etc
overlay /var /var
overlay "$checkout" "$checkout"
if [ ! -d "$checkout/.venv" ]; then
    mkdir "$checkout/.venv"
    overlay "$venv" "$checkout/.venv"
fi
touch "$checkout/.venv/.installed"

# /dev/log is for this machine's rsyslogd alone.
mkdir "$work/disk/dev"
mount -t tmpfs -o mode=755 dev "$work/disk/dev"
for node in null zero full random urandom tty; do
    touch "$work/disk/dev/$node"
    mount --bind "/dev/$node" "$work/disk/dev/$node"
done
ln -s /proc/self/fd "$work/disk/dev/fd"
ln -s /proc/self/fd/1 "$work/disk/dev/stdout"
mkdir "$work/disk/dev/shm"
mount --rbind "$work/disk/dev" /dev
mount -t tmpfs -o mode=755 run /run
ip link set lo up

# What a mail host has.
hostname mx1.example.com
echo '127.0.0.1 localhost mx1.example.com mx1' >/etc/hosts
sed -i '/imklog/d' /etc/rsyslog.conf # the kernel's log is the host's
rm -f /etc/rsyslog.d/50-mailfault*
cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf
cat >>/etc/postfix/main.cf <<'MAIN'
compatibility_level = 3.6
myhostname = mx1.example.com
mydestination = $myhostname, localhost
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
MAIN
# And a receiver, as docs/install.md has it.
install -D -m 0644 "$checkout/deploy/systemd/mailfault.toml" /etc/mailfault/mailfault.toml
cp "$work/mail.log" /var/log/mail.log
gzip --stdout "$work/mail.log" >/var/log/mail.log.2.gz

export PATH="$work/bin:$checkout/.venv/bin:$PATH:/usr/sbin:/sbin"
export PYTHONPATH="$checkout"
export PYTHONUNBUFFERED=1 NO_COLOR=1 COLUMNS=120 TZ=UTC
cd "$checkout"
systemctl start rsyslog
postfix start 2>/dev/null
exec "$@"
