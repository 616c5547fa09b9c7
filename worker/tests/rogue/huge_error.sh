#!/bin/sh
# Reports an error whose text is far longer than the sandbox's limit.
. "$(dirname "$0")/rogue.sh"
text=$(head -c 1000000 /dev/zero | tr '\0' x)
frame '"initialized"'
frame '{"finished":{"end":{"failed":{"code":"script_error","message":"'$text'","stack":"'$text'","line":4294967295,"column":4294967295}},"usage":{"init":{"secs":0,"nanos":0},"run":{"secs":0,"nanos":0},"cpu":{"secs":0,"nanos":0},"memory_peak_bytes":0,"fetches":0}}}'
exec sleep 600
