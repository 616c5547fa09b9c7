#!/bin/sh
# Asks for a request as soon as its first job comes, and is killed, as by the kernel when there is no memory left.
own_start=1
. "$(dirname "$0")/rogue.sh"
frame '{"ready":{"layers":[]}}'
head -c 42 <&0 >/dev/null
length=$(head -c 4 <&0 | od -An -tu4 | tr -d ' ')
head -c "$length" <&0 >/dev/null
head -c 1 <&0 >/dev/null
frame '{"fetch":{"id":1,"request":{"method":"POST","url":"http://nowhere.example/","headers":[],"body":null,"redirect":"follow"}}}'
kill -KILL $$
