#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The first program of a kernel that is a process (user-mode-linux): two resources of its own DRBD replicate to each other over
# RAM disks, as two nodes of ours do. Environment: OUT, a directory of the host; it holds `jobs` with the arguments of a run
# of fio in each line, and gets the result of line N as N.json, the time of a resync as resync.ns, and `log`.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/
trap 'echo o > /proc/sysrq-trigger; sleep 60' EXIT
mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
for dir in /tmp /run /var/lib/drbd; do mount -t tmpfs tmpfs $dir; done
mkdir /tmp/out /run/drbd /run/lock
mount -t hostfs hostfs /tmp/out -o "$OUT"
exec > /tmp/out/log 2>&1 < /dev/null
set -ex
modules=/usr/lib/uml/modules/$(uname -r)/kernel
insmod $modules/drivers/block/brd.ko rd_nr=2 rd_size=262144
insmod $modules/lib/lru_cache.ko
insmod $modules/drivers/block/drbd/drbd.ko usermode_helper=/bin/true
ip link set lo up

for minor in 0 1; do
	drbdmeta --force $minor v08 /dev/ram$minor internal create-md
	drbdsetup new-resource r$minor
	drbdsetup new-minor r$minor $minor 0
	drbdsetup attach $minor /dev/ram$minor /dev/ram$minor internal --c-plan-ahead=0 --resync-rate=4G
done
await() { until grep -q "^ *0: $1" /proc/drbd; do sleep 0.01; done; }
connect() { drbdsetup connect "$@" --protocol=C --max-buffers=80000 --max-epoch-size=20000; }
connect r0 127.0.0.1:7801 127.0.0.1:7802
connect r1 127.0.0.1:7802 127.0.0.1:7801
await 'cs:Connected ro:Secondary/Secondary'
start=$(date +%s%N)
drbdsetup primary 0 --force
await 'cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate'
echo $(($(date +%s%N) - start)) > /tmp/out/resync.ns

number=0
while read -r job; do
	fio --name=figure --filename=/dev/drbd0 --output=/tmp/out/$number.json --output-format=json $job
	number=$((number + 1))
done < /tmp/out/jobs
touch /tmp/out/done
