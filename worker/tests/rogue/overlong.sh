#!/bin/sh
# Announces a frame of 4 GiB.
. "$(dirname "$0")/rogue.sh"
printf '\377\377\377\377' >&0; exec sleep 600
