#!/bin/sh
# Announces a frame of 12 MiB, which only the body of a request may have.
. "$(dirname "$0")/rogue.sh"
printf '\000\000\300\000' >&0; exec sleep 600
