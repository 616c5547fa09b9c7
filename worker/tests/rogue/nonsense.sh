#!/bin/sh
# Says what is no message.
. "$(dirname "$0")/rogue.sh"
frame '{"ready":'; exec sleep 600
