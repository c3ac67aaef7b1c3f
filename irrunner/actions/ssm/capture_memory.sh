# Needs: KIND TOOL_BUCKET TOOL_KEY TOOL_SHA256 EVIDENCE_BUCKET IMAGE_KEY, assigned above.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin LC_ALL=C
umask 077
command -v aws >/dev/null || exit 40
work=$(mktemp -d /var/tmp/irrunner.XXXXXXXX)
trap 'rm -rf "$work"' EXIT
memory=$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)
free=$(df -Pk "$work" | awk 'NR == 2 {print $4}')
[ "$free" -gt "$memory" ] || exit 41
aws s3 cp --only-show-errors "s3://$TOOL_BUCKET/$TOOL_KEY" "$work/tool" || exit 42
printf '%s  %s\n' "$TOOL_SHA256" "$work/tool" | sha256sum --check --status || exit 43
chmod 0700 "$work/tool"
if [ "$KIND" = lime ]; then
  insmod "$work/tool" "path=$work/image format=lime" || exit 44
  rmmod lime || true
else
  "$work/tool" "$work/image" || exit 44
fi
sha256sum "$work/image"
aws s3 cp --only-show-errors "$work/image" "s3://$EVIDENCE_BUCKET/$IMAGE_KEY" || exit 45
