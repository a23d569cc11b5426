#!/bin/sh
set -e

if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi

# Removing keeps settings, keys and records. Purging deletes them, for good.
if [ "$1" = purge ]; then
    if [ -x /usr/bin/deb-systemd-helper ]; then
        deb-systemd-helper purge @PACKAGE@.service >/dev/null || true
        deb-systemd-helper unmask @PACKAGE@.service >/dev/null || true
    fi
    rm -rf /var/lib/@PACKAGE@ /opt/@PACKAGE@
    rm -f /etc/vgroup/credentials/@CREDENTIAL@
    for folder in /etc/vgroup/credentials /etc/vgroup; do
        rmdir --ignore-fail-on-non-empty "$folder" 2>/dev/null || true
    done
    if command -v deluser >/dev/null && getent passwd @PACKAGE@ >/dev/null; then
        deluser --quiet --system @PACKAGE@ >/dev/null || true
    fi
fi
