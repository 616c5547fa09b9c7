# Follows the sandbox's protocol up to the first job. The script that sources this file goes on from there.
# The socket is standard input. A frame is its length, little-endian, and that many bytes of JSON.

frame() {
  length=${#1}
  printf "$(printf '\\%03o\\%03o\\%03o\\000' $((length & 255)) $((length >> 8 & 255)) $((length >> 16 & 255)))" >&0
  printf '%s' "$1" >&0
}

# With the real snapshot: reads `Prepare`, the snapshot by its length, and the first byte of the job.
if [ -n "$real_snapshot" ]; then
  frame '{"ready":{"layers":[]}}'
  head -c 42 <&0 >/dev/null
  length=$(head -c 4 <&0 | od -An -tu4 | tr -d ' ')
  head -c "$length" <&0 >/dev/null
  head -c 1 <&0 >/dev/null
  return
fi
if [ "$1" = snapshot ]; then
  echo snapshot
  exit 0
fi
frame '{"ready":{"layers":[]}}'
# Bytes of `Prepare`, the snapshot's frame, and the first byte of the job: 4 + 38 + 4 + 9 + 1.
head -c 56 <&0 >/dev/null
