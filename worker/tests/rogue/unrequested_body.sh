#!/bin/sh
# Sends the body of a request that the supervisor has not asked for.
. "$(dirname "$0")/rogue.sh"
frame '{"body":{"id":1}}'; exec sleep 600
