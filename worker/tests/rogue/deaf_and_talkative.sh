#!/bin/sh
# Tells its process id, goes on talking, and never honours a deadline.
. "$(dirname "$0")/rogue.sh"
frame '"initialized"'
for text in $$ more and more; do
  frame '{"log":{"level":"info","message":"'$text'"}}'
done
exec sleep 600
