#!/bin/sh
# Reports a result that is not JSON.
. "$(dirname "$0")/rogue.sh"
frame '{"finished":{"end":{"completed":{"json":"{oops"}},"usage":{"init":{"secs":0,"nanos":0},"run":{"secs":0,"nanos":0},"cpu":{"secs":0,"nanos":0},"memory_peak_bytes":0,"fetches":0}}}'
exec sleep 600
