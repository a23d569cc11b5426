#!/bin/bash
# What tools/try_deb.py runs as root inside a Debian that systemd has booted, with both packages installed:
# a master and a slave as services, a reload, a watchdog, a stop; a gateway as a service, and a master that has its
# register there; removal, purge. The first failure ends it.
set -euxo pipefail
fail() { echo "FAILED: $*"; exit 1; }
property() { systemctl show -p "$2" --value "vgroup-$1"; }
wait_until() { # wait_until SECONDS COMMAND...
    local left=$1
    shift
    until "$@"; do
        ((left-- > 0)) || fail "never: $*"
        sleep 1
    done
}

ip link set lo up 2>/dev/null || true
ip link add vg0 type veth peer name vg1 # a network on which mDNS can be heard
ip address add 10.99.0.1/24 dev vg0
ip link set vg0 up && ip link set vg1 up
vgroup --version
man_page=$(readlink -f /usr/share/man/man1/vgroup.1.gz) && [ -s "$man_page" ]
vgroup config check

# Before the first step all services wait, without failing.
[ "$(systemctl is-enabled vgroup-master vgroup-slave vgroup-gateway | sort -u)" = enabled ]
[ "$(property master ActiveState) $(property slave ActiveState) $(property gateway ActiveState)" = "inactive inactive inactive" ]

vgroup master init
systemctl start vgroup-master
[ "$(property master ActiveState)" = active ]
vgroup group create "Ward 3"
string=$(vgroup device invite "Bed 1" --host 127.0.0.1 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["pairing_string"])')
vgroup slave join "$string"
systemctl start vgroup-slave
[ "$(property slave ActiveState)" = active ]
streaming() { [ "$(property slave StatusText)" = streaming ]; }
wait_until 120 streaming
readings() { [ "$(vgroup records export | wc -l)" -gt 5 ]; }
wait_until 180 readings
vgroup records verify
vgroup slave status
{ vgroup doctor || [ $? = 1 ]; } >/tmp/doctor.txt
grep -q 'The master of this machine' /tmp/doctor.txt
grep -q 'associated through the contract' /tmp/doctor.txt
install -d -m 700 -o vgroup-master -g vgroup-master /var/backups/vgroup
vgroup master backup /var/backups/vgroup/trial.tar
[ "$(stat -c '%U %a' /var/backups/vgroup/trial.tar)" = "vgroup-master 600" ]

# Nobody but the services' own users owns or reads what is theirs, and the keys open with the credentials alone.
[ -z "$(find /var/lib/vgroup-master /var/lib/vgroup-slave /opt/vgroup-master /opt/vgroup-slave -name __pycache__ -prune -o -perm /o+w ! -type l -print)" ]
[ "$(stat -c '%U %a' /var/lib/vgroup-slave /var/lib/vgroup-master | sort -u | tr '\n' ' ')" = "vgroup-master 700 vgroup-slave 700 " ]
[ -z "$(find /var/lib/vgroup-slave ! -user vgroup-slave)$(find /var/lib/vgroup-master ! -user vgroup-master)" ]
grep -q '"sealed"' /var/lib/vgroup-slave/device.json
[ "$(ps -o user= -p "$(property slave MainPID)")" = vgroup-s+ ] || [ "$(stat -c %U "/proc/$(property slave MainPID)")" = vgroup-slave ]

# The master moves to another port: from inside its sandbox the slave's service finds it again, by mDNS.
sed -i 's/^# port = 3000$/port = 3001/' /etc/vgroup/master.toml
systemctl restart vgroup-master
found() { vgroup slave status --json | grep -q '"way": "mdns"'; }
wait_until 180 found
wait_until 120 streaming
vgroup slave find | grep -q 'proved, the master of this device'

# The journal has fields.
wait_until 60 sh -c "journalctl -u vgroup-slave VGROUP_STATE=streaming -o json --no-pager | grep -q VGROUP_STATE"
wait_until 60 sh -c "journalctl -u vgroup-master VGROUP_EVENT=listening -o json --no-pager | grep -q VGROUP_PORT"

# A reload keeps the process; a mistake in the settings changes nothing.
pid=$(property slave MainPID)
echo 'batch_readings = 4' | cat - /etc/vgroup/slave.toml >/tmp/slave.toml && cat /tmp/slave.toml >/etc/vgroup/slave.toml
systemctl reload vgroup-slave vgroup-master
sleep 2
wait_until 120 streaming
[ "$(property slave MainPID)" = "$pid" ]
journalctl -u vgroup-slave --no-pager | grep -q reloading

# A process that hangs is started again by the watchdog, and goes on.
mkdir -p /run/systemd/system/vgroup-slave.service.d
printf '[Service]\nWatchdogSec=15\nRestartSec=1\n' >/run/systemd/system/vgroup-slave.service.d/trial.conf
systemctl daemon-reload
systemctl restart vgroup-slave
wait_until 120 streaming
sleep 20
[ "$(property slave NRestarts)" = 0 ] || fail "the watchdog bites a service that works"
kill -STOP "$(property slave MainPID)"
restarted() { [ "$(property slave NRestarts)" = 1 ]; }
wait_until 120 restarted
wait_until 120 streaming
journalctl -u vgroup-slave --no-pager | grep -qi watchdog

# A revoked device stays stopped.
vgroup device revoke "Bed 1" --yes
stopped() { [ "$(property slave ActiveState)" = failed ] && [ "$(property slave ExecMainStatus)" = 4 ]; }
wait_until 120 stopped

# A clean stop, and a start with what was there.
systemctl stop vgroup-master
[ "$(property master Result) $(property master ExecMainStatus)" = "success 0" ]
systemctl start vgroup-master
vgroup records verify

# The gateway as a service of its own, with its token as a credential.
vgroup gateway init
vgroup gateway token | head -n 1 >/etc/vgroup/credentials/gateway/token
rm /var/lib/vgroup-gateway/token
systemctl start vgroup-gateway
[ "$(property gateway ActiveState)" = active ]
[ "$(stat -c %U "/proc/$(property gateway MainPID)")" = vgroup-gateway ]
[ "$(property gateway StatusText)" = "listening on port 3080" ]

# Another master has its register there; the first one's folder and settings are put aside meanwhile.
systemctl stop vgroup-master
mv /var/lib/vgroup-master /root/first-master
cp -a /etc/vgroup/master.toml /root/first-master.toml
install -d -m 700 -o vgroup-master -g vgroup-master /var/lib/vgroup-master
sed -i '1i gateway = "http://127.0.0.1:3080"' /etc/vgroup/master.toml
vgroup config check
vgroup gateway authorize "$(vgroup master init | grep -o '0x[0-9a-f]*')" --name "ward 4"
systemctl start vgroup-master
[ "$(property master ActiveState)" = active ]
vgroup group create "Ward 4"
string=$(vgroup device invite "Bed 2" --host 127.0.0.1 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["pairing_string"])')
vgroup slave join "$string" --state-dir /var/lib/vgroup-slave/second
vgroup device list | grep -w member
{ vgroup doctor --json || [ $? = 1 ]; } | python3 -c 'import json, sys; found = json.load(sys.stdin); assert set(found) == {"master", "slave"}, found'
vgroup explain gateway-unreachable | grep -q 'systemctl status vgroup-gateway'

# It reloads, says what a mistake is and keeps what it has, is started again when it hangs, and stops in good order.
pid=$(property gateway MainPID)
sed -i '1i requests_per_s = 900.0' /etc/vgroup/gateway.toml
systemctl reload vgroup-gateway
reloaded() { journalctl -u vgroup-gateway VGROUP_EVENT=reloaded -o json --no-pager | grep -q requests_per_s; }
wait_until 30 reloaded
sed -i '1i requests_per_z = 900.0' /etc/vgroup/gateway.toml
systemctl reload vgroup-gateway
complained() { journalctl -u vgroup-gateway VGROUP_CODE=setting-wrong -o json --no-pager | grep -q requests_per_z; }
wait_until 30 complained
sed -i 1d /etc/vgroup/gateway.toml
[ "$(property gateway MainPID) $(property gateway ActiveState)" = "$pid active" ]
mkdir -p /run/systemd/system/vgroup-gateway.service.d
printf '[Service]\nWatchdogSec=15\nRestartSec=1\n' >/run/systemd/system/vgroup-gateway.service.d/trial.conf
systemctl daemon-reload
systemctl restart vgroup-gateway
sleep 20
[ "$(property gateway NRestarts) $(property gateway ActiveState)" = "0 active" ] || fail "the watchdog bites a gateway that works"
kill -STOP "$(property gateway MainPID)"
gateway_is_back() { [ "$(property gateway NRestarts) $(property gateway ActiveState)" = "1 active" ]; }
wait_until 120 gateway_is_back
master_sees_it() { [ "$(vgroup doctor --data-dir /var/lib/vgroup-master --json | grep -c '"bad"')" = 0 ]; }
wait_until 120 master_sees_it
systemctl stop vgroup-gateway
[ "$(property gateway Result) $(property gateway ExecMainStatus)" = "success 0" ]
[ -z "$(find /var/lib/vgroup-gateway ! -user vgroup-gateway)" ]
systemctl stop vgroup-master
rm -rf /var/lib/vgroup-master
mv /root/first-master /var/lib/vgroup-master
cat /root/first-master.toml >/etc/vgroup/master.toml
systemctl start vgroup-master

# Removing stops the services and keeps what is theirs; the other package goes on.
dpkg --remove vgroup-slave
vgroup --version
[ "$(property master ActiveState)" = active ]
[ ! -e /opt/vgroup-slave ] && [ -e /var/lib/vgroup-slave/state.json ] && [ -e /etc/vgroup/slave.toml ]
dpkg --remove vgroup-master
[ ! -e /opt/vgroup-master ] && [ ! -e /usr/bin/vgroup ] && [ -e /var/lib/vgroup-master/master.key.json ]
dpkg --purge vgroup-slave
[ -e /etc/vgroup/credentials/master.passphrase ]
dpkg --purge vgroup-master
[ ! -e /etc/vgroup ] && [ ! -e /var/lib/vgroup-slave ] && [ ! -e /var/lib/vgroup-master ] && [ ! -e /var/lib/vgroup-gateway ]
for user in vgroup-slave vgroup-master vgroup-gateway; do ! getent passwd $user; done
[ -z "$(systemctl list-unit-files 'vgroup-*' --no-legend)" ]
echo "THE PACKAGES WORK"
