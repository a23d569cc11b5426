#!/bin/sh
set -e

# Also for an upgrade: the service flushes what it has before its code is replaced; postinst starts it again.
if [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop @PACKAGE@.service >/dev/null || true
fi

py3clean -p @PACKAGE@
if [ "$1" = remove ]; then
    update-alternatives --remove vgroup /usr/lib/@PACKAGE@/vgroup
fi
