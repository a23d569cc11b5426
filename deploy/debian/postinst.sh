#!/bin/sh
set -e

if [ "$1" = configure ]; then
    install -d -m 0755 /etc/vgroup
    for tier in @TIERS@; do
        user=vgroup-$tier
        if ! getent passwd "$user" >/dev/null; then
            adduser --quiet --system --group --no-create-home --home "/var/lib/$user" --gecos "$user, of @PACKAGE@" "$user"
        fi
        install -d -m 0700 -o "$user" -g "$user" "/var/lib/$user"
        # Settings may name a database with its password.
        if [ -z "$2" ]; then
            chgrp "$user" "/etc/vgroup/$tier.toml"
            chmod 0640 "/etc/vgroup/$tier.toml"
        fi
        # Empty, or with what the gateway's operator puts there: its unit loads whatever there is.
        [ "$tier" != gateway ] || install -d -m 0700 /etc/vgroup/credentials/gateway
    done
    install -d -m 0700 /etc/vgroup/credentials
    # What opens the key store, drawn on this machine. An upgrade leaves it alone.
    if [ ! -e /etc/vgroup/credentials/@CREDENTIAL@ ]; then
        (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >/etc/vgroup/credentials/@CREDENTIAL@.new)
        mv /etc/vgroup/credentials/@CREDENTIAL@.new /etc/vgroup/credentials/@CREDENTIAL@
    fi
    py3compile -p @PACKAGE@ /opt/@PACKAGE@ -V @PYTHON@
    update-alternatives --install /usr/bin/vgroup vgroup /usr/lib/@PACKAGE@/vgroup @PRIORITY@ \
        --slave /usr/share/man/man1/vgroup.1.gz vgroup.1.gz /usr/share/man/man1/@PACKAGE@.1.gz
fi

case "$1" in
configure | abort-upgrade | abort-deconfigure | abort-remove)
    for tier in @TIERS@; do
        unit=vgroup-$tier.service
        deb-systemd-helper unmask "$unit" >/dev/null || true
        if deb-systemd-helper --quiet was-enabled "$unit"; then
            deb-systemd-helper enable "$unit" >/dev/null || true
        else
            deb-systemd-helper update-state "$unit" >/dev/null || true
        fi
        if [ -d /run/systemd/system ]; then
            systemctl --system daemon-reload >/dev/null || true
            # Before `vgroup @FIRST_STEP@` (or `vgroup gateway init`) the unit's condition leaves it stopped.
            deb-systemd-invoke start "$unit" >/dev/null || true
        fi
    done
    ;;
esac
