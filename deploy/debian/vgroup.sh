#!/bin/sh
# vgroup as this package brings it. For root its commands act on the machine's services, as the services' own users, so
# that no file of theirs ever belongs to root. For anybody else they act on folders of their own.
set -eu
program=/opt/@PACKAGE@/bin/vgroup
[ "$(id -u)" = 0 ] || exec "$program" "$@"

tier=
for word in "$@"; do
    case $word in
    -*) ;;
    slave) tier=slave && break ;;
    master | group | device | records | audit | chain) tier=master && break ;;
    *) break ;;
    esac
done

export VGROUP_SLAVE_DIR="${VGROUP_SLAVE_DIR:-/var/lib/vgroup-slave}"
export VGROUP_SLAVE_CONFIG="${VGROUP_SLAVE_CONFIG:-/etc/vgroup/slave.toml}"
export VGROUP_MASTER_DIR="${VGROUP_MASTER_DIR:-/var/lib/vgroup-master}"
export VGROUP_MASTER_CONFIG="${VGROUP_MASTER_CONFIG:-/etc/vgroup/master.toml}"
credentials=/etc/vgroup/credentials
case $tier in
slave) [ ! -r $credentials/slave.key ] || export VGROUP_KEYSTORE_SECRET="${VGROUP_KEYSTORE_SECRET:-$(cat $credentials/slave.key)}" ;;
master) [ ! -r $credentials/master.passphrase ] || export VGROUP_PASSPHRASE="${VGROUP_PASSPHRASE:-$(cat $credentials/master.passphrase)}" ;;
esac

if [ -n "$tier" ] && getent passwd "vgroup-$tier" >/dev/null; then
    export HOME="/var/lib/vgroup-$tier"
    exec setpriv --reuid "vgroup-$tier" --regid "vgroup-$tier" --init-groups "$program" "$@"
fi
exec "$program" "$@"
