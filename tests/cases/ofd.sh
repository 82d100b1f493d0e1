#!/bin/bash
# ofd.sh PROGRAM ARGS... - on a device that has no room: failing_device.sh.
exec bash "$(dirname "$0")/failing_device.sh" "$@"
