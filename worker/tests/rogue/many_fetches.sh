#!/bin/sh
# Sends more fetches than a run may make.
. "$(dirname "$0")/rogue.sh"
frame '"initialized"'
for id in $(seq 60); do
  frame '{"fetch":{"id":'$id',"request":{"method":"GET","url":"http://nowhere.example/","headers":[],"body_bytes":null,"redirect":"follow"}}}'
done
exec sleep 600
