#!/bin/sh
# Stands for a machine in Azure: a network, a login and, where cloud-init was told to install it, a Docker engine of its own, at
# the machine's public address. What it begins ends with it. The last argument is the folder of the machine, which says who it
# is; SIMFLEET_TEST_IMAGE is what its engine is given, and PREPULLED what that is called there.
set -eu
me=$0 folder=$1
link=sfz$$
address=$(cat "$folder/public-ip") user=$(cat "$folder/user")
gateway=169.254.171.1

if [ "${2-}" = "" ]; then
  cleanup() { ip link del "$link" 2>/dev/null || true; }
  trap cleanup EXIT
  ip link add "$link" type veth peer name "$link"p
  ip addr add "$gateway/32" dev "$link"
  ip link set "$link" up
  unshare --mount --net --pid --fork --kill-child --mount-proc sh "$me" "$folder" "$link"p &
  until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
  ip link set "$link"p netns $!
  ip route add "$address/32" dev "$link"
  # It ends with who has begun it.
  while kill -0 $! 2>/dev/null && kill -0 "$PPID" 2>/dev/null; do sleep 1; done
  kill -KILL $! 2>/dev/null || true
  exit
fi

link=$2
ip link set lo up
until ip link show "$link" >/dev/null 2>&1; do sleep 0.05; done
ip addr add "$address/32" dev "$link"
ip link set "$link" up
ip route add "$gateway" dev "$link"
ip route add default via "$gateway"

# The path of a socket has to be short.
mount --bind "$folder" /mnt
{ grep -v "^$user:" /etc/passwd; echo "$user:x:0:0::/root:/bin/sh"; } >/mnt/passwd
mount --bind /mnt/passwd /etc/passwd
[ -f /mnt/host ] || ssh-keygen -q -t ed25519 -N '' -f /mnt/host
mkdir -p /run/sshd
/usr/sbin/sshd -e -f /dev/null -h /mnt/host -p 22 -o ListenAddress="$address" -o StrictModes=no -o PidFile=none \
  -o PermitRootLogin=yes -o AuthorizedKeysFile=/mnt/authorized-keys -o SetEnv=DOCKER_HOST=unix:///mnt/docker.sock

if grep -q docker.io /mnt/custom-data; then
  dockerd -H unix:///mnt/boot.sock --data-root /mnt/data --exec-root /mnt/exec --pidfile /mnt/pid >/mnt/dockerd 2>&1 &
  until docker -H unix:///mnt/boot.sock version >/dev/null 2>&1; do sleep 0.1; done
  docker -H "$SIMFLEET_TEST_DOCKER" save "$SIMFLEET_TEST_IMAGE" | docker -H unix:///mnt/boot.sock load
  docker -H unix:///mnt/boot.sock tag "$SIMFLEET_TEST_IMAGE" "$PREPULLED"
  ln -sf boot.sock /mnt/docker.sock
fi
sleep infinity &
wait $!
