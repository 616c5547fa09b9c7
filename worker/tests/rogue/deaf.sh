#!/bin/sh
# Starts the run and never honours a deadline.
. "$(dirname "$0")/rogue.sh"
frame '"initialized"'
frame '{"log":{"level":"info","message":"last words"}}'
exec sleep 600
