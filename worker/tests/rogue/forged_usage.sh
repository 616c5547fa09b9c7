#!/bin/sh
# Reports a usage that is impossible for a run.
. "$(dirname "$0")/rogue.sh"
frame '"initialized"'
frame '{"finished":{"end":{"completed":{"json":"1"}},"usage":{"init":{"secs":9000000,"nanos":0},"run":{"secs":9000000,"nanos":0},"cpu":{"secs":9000000,"nanos":0},"memory_peak_bytes":18446744073709551615,"fetches":4000000}}}'
exec sleep 600
