#!/bin/sh
# Writes console lines far beyond the limit.
. "$(dirname "$0")/rogue.sh"
frame '"initialized"'
while :; do frame '{"log":{"level":"info","message":"more"}}'; done
