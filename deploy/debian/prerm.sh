#!/bin/sh
set -e

# Also for an upgrade: the service flushes what it has before its code is replaced; postinst starts it again.
if [ -d /run/systemd/system ]; then
    for tier in @TIERS@; do
        deb-systemd-invoke stop "vgroup-$tier.service" >/dev/null || true
    done
fi

py3clean -p @PACKAGE@
if [ "$1" = remove ]; then
    update-alternatives --remove vgroup /usr/lib/@PACKAGE@/vgroup
fi
