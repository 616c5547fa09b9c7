#!/bin/sh
# Writes its process id as a console line, goes on writing lines, and never honours a deadline.
. "$(dirname "$0")/rogue.sh"
frame '"initialized"'
for text in $$ more and more; do
  frame '{"log":{"level":"info","message":"'$text'"}}'
done
exec sleep 600
