#!/bin/sh
# Is killed, as by the kernel when there is no memory left, as soon as its first job comes.
own_start=1
. "$(dirname "$0")/rogue.sh"
frame '{"ready":{"layers":[]}}'
head -c 42 <&0 >/dev/null
length=$(head -c 4 <&0 | od -An -tu4 | tr -d ' ')
head -c "$length" <&0 >/dev/null
head -c 1 <&0 >/dev/null
kill -KILL $$
