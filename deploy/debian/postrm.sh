#!/bin/sh
set -e

if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi

# Removing keeps settings, keys and records. Purging deletes them, for good.
if [ "$1" = purge ]; then
    for tier in @TIERS@; do
        user=vgroup-$tier
        if [ -x /usr/bin/deb-systemd-helper ]; then
            deb-systemd-helper purge "$user.service" >/dev/null || true
            deb-systemd-helper unmask "$user.service" >/dev/null || true
        fi
        rm -rf "/var/lib/$user" "/etc/vgroup/credentials/$tier"
        if command -v deluser >/dev/null && getent passwd "$user" >/dev/null; then
            deluser --quiet --system "$user" >/dev/null || true
        fi
    done
    rm -rf /opt/@PACKAGE@
    rm -f /etc/vgroup/credentials/@CREDENTIAL@
    for folder in /etc/vgroup/credentials /etc/vgroup; do
        rmdir --ignore-fail-on-non-empty "$folder" 2>/dev/null || true
    done
fi
