#!/bin/sh
# Sends a fetch when its first job arrives, then kills itself, as the kernel does when there is no memory left.
real_snapshot=1
. "$(dirname "$0")/rogue.sh"
frame '{"fetch":{"id":1,"request":{"method":"POST","url":"http://nowhere.example/","headers":[],"body_bytes":null,"redirect":"follow"}}}'
kill -KILL $$
