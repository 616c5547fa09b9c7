#!/bin/sh
# Reports an error code that only the supervisor decides.
. "$(dirname "$0")/rogue.sh"
frame '{"finished":{"end":{"failed":{"code":"worker_lost","message":"run me again","stack":null,"line":null,"column":null}},"usage":{"init":{"secs":0,"nanos":0},"run":{"secs":0,"nanos":0},"cpu":{"secs":0,"nanos":0},"memory_peak_bytes":0,"fetches":0}}}'
exec sleep 600
