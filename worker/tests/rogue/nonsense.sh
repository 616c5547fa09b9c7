#!/bin/sh
# Sends a frame that is not a message.
. "$(dirname "$0")/rogue.sh"
frame '{"ready":'; exec sleep 600
