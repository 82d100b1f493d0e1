#!/bin/bash
# latejoin_early.sh PROGRAM ARGS... - on a device that has no room: failing_device.sh.
exec bash "$(dirname "$0")/failing_device.sh" "$@"
