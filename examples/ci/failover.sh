#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A test of a setup: what was written is there after a failover. umc cluster run examples/ci/pair.toml -- examples/ci/failover.sh
set -e
on() { umc cluster exec "$@"; }
on alpha -- drbdadm primary r0
on alpha -- sh -c 'echo written on alpha | dd of=/dev/drbd0 bs=4k conv=sync,fsync status=none'
umc cluster kill alpha
on beta -- drbdadm primary --force r0
[ "$(on beta -- head -n 1 /dev/drbd0)" = "written on alpha" ]
on beta -- drbdadm secondary r0
umc cluster start alpha
umc cluster status
