#!/bin/sh
# vgroup as this package brings it. For root its commands act on the machine's services, as the services' own users, so
# that no file of theirs ever belongs to root. For anybody else they act on folders of their own.
set -eu
program=/opt/@PACKAGE@/bin/vgroup
[ "$(id -u)" = 0 ] || exec "$program" "$@"

credentials=/etc/vgroup/credentials
export VGROUP_SLAVE_DIR="${VGROUP_SLAVE_DIR:-/var/lib/vgroup-slave}"
export VGROUP_SLAVE_CONFIG="${VGROUP_SLAVE_CONFIG:-/etc/vgroup/slave.toml}"
export VGROUP_MASTER_DIR="${VGROUP_MASTER_DIR:-/var/lib/vgroup-master}"
export VGROUP_MASTER_CONFIG="${VGROUP_MASTER_CONFIG:-/etc/vgroup/master.toml}"
# The master's package brings the gateway and its user; a device's has neither.
if getent passwd vgroup-gateway >/dev/null; then
    export VGROUP_GATEWAY_DIR="${VGROUP_GATEWAY_DIR:-/var/lib/vgroup-gateway}"
    export VGROUP_GATEWAY_CONFIG="${VGROUP_GATEWAY_CONFIG:-/etc/vgroup/gateway.toml}"
fi

run_as() { # run_as TIER ARGUMENT...: becomes the program, as that service's user and with what opens its key
    tier=$1
    shift
    case $tier in
    slave) [ ! -r $credentials/slave.key ] || export VGROUP_KEYSTORE_SECRET="${VGROUP_KEYSTORE_SECRET:-$(cat $credentials/slave.key)}" ;;
    master) [ ! -r $credentials/master.passphrase ] || export VGROUP_PASSPHRASE="${VGROUP_PASSPHRASE:-$(cat $credentials/master.passphrase)}" ;;
    esac
    getent passwd "vgroup-$tier" >/dev/null || exec "$program" "$@"
    export HOME="/var/lib/vgroup-$tier"
    exec setpriv --reuid "vgroup-$tier" --regid "vgroup-$tier" --init-groups "$program" "$@"
}

examine() { # examine ARGUMENT...: each service that has a folder, by itself; ends with the worst of their statuses
    worst= documents=
    for tier in master slave; do
        case $tier in
        master) option=--data-dir folder=$VGROUP_MASTER_DIR ;;
        slave) option=--state-dir folder=$VGROUP_SLAVE_DIR ;;
        esac
        [ -d "$folder" ] || continue
        status=0
        case " $* " in
        *" --json "*) # each prints one JSON object: of their insides one is made
            document=$(run_as $tier "$@" $option "$folder") || status=$?
            document=${document#\{}
            [ -z "$document" ] || documents=${documents:+$documents,}${document%\}}
            ;;
        *) (run_as $tier "$@" $option "$folder") || status=$? ;;
        esac
        [ "${worst:-0}" -gt $status ] || worst=$status
    done
    [ -z "$documents" ] || printf '{%s}\n' "$documents"
    [ -z "$worst" ] || exit "$worst"
    exec "$program" "$@"
}

group=
for word in "$@"; do
    case $word in
    -*) ;;
    *) group=$word && break ;;
    esac
done
case $group in
slave) run_as slave "$@" ;;
master | group | device | records | audit | chain) run_as master "$@" ;;
gateway) run_as gateway "$@" ;;
doctor)
    case " $* " in
    *" --help "* | *" -h "*) exec "$program" "$@" ;;
    *" --state-dir"*) run_as slave "$@" ;;
    *" --data-dir"*) run_as master "$@" ;;
    *) examine "$@" ;;
    esac
    ;;
# config only reads, and reads the settings of all services; what remains has nothing to do with them.
*) exec "$program" "$@" ;;
esac
