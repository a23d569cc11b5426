#!/bin/sh
set -e

if [ "$1" = configure ] && ! getent passwd @PACKAGE@ >/dev/null; then
    adduser --quiet --system --group --no-create-home --home /var/lib/@PACKAGE@ --gecos "@SUMMARY@" @PACKAGE@
fi

if [ "$1" = configure ]; then
    install -d -m 0700 -o @PACKAGE@ -g @PACKAGE@ /var/lib/@PACKAGE@
    install -d -m 0755 /etc/vgroup
    install -d -m 0700 /etc/vgroup/credentials
    # What opens the key store, drawn on this machine. An upgrade leaves it alone.
    if [ ! -e /etc/vgroup/credentials/@CREDENTIAL@ ]; then
        (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >/etc/vgroup/credentials/@CREDENTIAL@.new)
        mv /etc/vgroup/credentials/@CREDENTIAL@.new /etc/vgroup/credentials/@CREDENTIAL@
    fi
    # Settings may name a database with its password.
    if [ -z "$2" ]; then
        chgrp @PACKAGE@ /etc/vgroup/@TIER@.toml
        chmod 0640 /etc/vgroup/@TIER@.toml
    fi
    py3compile -p @PACKAGE@ /opt/@PACKAGE@ -V @PYTHON@
    update-alternatives --install /usr/bin/vgroup vgroup /usr/lib/@PACKAGE@/vgroup @PRIORITY@ \
        --slave /usr/share/man/man1/vgroup.1.gz vgroup.1.gz /usr/share/man/man1/@PACKAGE@.1.gz
fi

case "$1" in
configure | abort-upgrade | abort-deconfigure | abort-remove)
    deb-systemd-helper unmask @PACKAGE@.service >/dev/null || true
    if deb-systemd-helper --quiet was-enabled @PACKAGE@.service; then
        deb-systemd-helper enable @PACKAGE@.service >/dev/null || true
    else
        deb-systemd-helper update-state @PACKAGE@.service >/dev/null || true
    fi
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        # Before `vgroup @FIRST_STEP@` the unit's condition leaves it stopped.
        deb-systemd-invoke start @PACKAGE@.service >/dev/null || true
    fi
    ;;
esac
