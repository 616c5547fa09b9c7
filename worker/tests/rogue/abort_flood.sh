#!/bin/sh
# Aborts requests without end.
. "$(dirname "$0")/rogue.sh"
frame '"initialized"'
while :; do frame '{"fetch_aborted":{"id":1}}'; done
