#!/bin/sh
# Asks for a request as soon as its first job comes, and is killed, as by the kernel when there is no memory left.
real_snapshot=1
. "$(dirname "$0")/rogue.sh"
frame '{"fetch":{"id":1,"request":{"method":"POST","url":"http://nowhere.example/","headers":[],"body":null,"redirect":"follow"}}}'
kill -KILL $$
