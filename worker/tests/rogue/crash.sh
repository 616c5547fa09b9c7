#!/bin/sh
# Crashes with a segmentation fault.
. "$(dirname "$0")/rogue.sh"
frame '{"log":{"level":"info","message":"last words"}}'
kill -SEGV $$
