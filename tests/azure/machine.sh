#!/bin/sh
# Stands for a machine in Azure: a network, a login and, where cloud-init was told to install them, a Docker engine of its own
# and the agent, at the machine's public address. What it begins ends with it. The last argument is the folder of the machine, which says who it
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

# What a machine has of its own besides: its services and what is installed on it. `systemctl` starts a service, and no more.
mkdir -p /var/lib/simfleet /etc/systemd/system
for own in /var/lib/simfleet /etc/systemd/system /usr/local/bin; do mount -t tmpfs tmpfs "$own"; done
cat >/usr/local/bin/systemctl <<'SYSTEMCTL'
#!/bin/sh
[ "$*" = "enable --now simfleet-agent.service" ] || exit 0
of() { sed -n "s/^$1=//p" /etc/systemd/system/simfleet-agent.service; }
(cd /var/lib && mkdir -p -m 700 $(of StateDirectory))
cd "$(of WorkingDirectory)"
while sleep 0.2; do $(of ExecStart); done >/mnt/agent.log 2>&1 &
SYSTEMCTL
chmod 755 /usr/local/bin/systemctl
/usr/sbin/sshd -e -f /dev/null -h /mnt/host -p 22 -o ListenAddress="$address" -o StrictModes=no -o PidFile=none \
  -o PermitRootLogin=yes -o AuthorizedKeysFile=/mnt/authorized-keys -o SetEnv=DOCKER_HOST=unix:///mnt/docker.sock

if grep -q docker.io /mnt/custom-data; then
  dockerd -H unix:///mnt/boot.sock --data-root /mnt/data --exec-root /mnt/exec --pidfile /mnt/pid >/mnt/dockerd 2>&1 &
  until docker -H unix:///mnt/boot.sock version >/dev/null 2>&1; do sleep 0.1; done
  docker -H "$SIMFLEET_TEST_DOCKER" save "$SIMFLEET_TEST_IMAGE" | docker -H unix:///mnt/boot.sock load
  docker -H unix:///mnt/boot.sock tag "$SIMFLEET_TEST_IMAGE" "$PREPULLED"
  ln -sf boot.sock /mnt/docker.sock
fi
# What else cloud-init does: its files, and the commands that are no program of the machine's own.
if grep -q simfleet-agent /mnt/custom-data; then
  /usr/bin/python3 - <<'CLOUD_INIT'
import subprocess, yaml
config = yaml.safe_load(open("/mnt/custom-data"))
for file in config.get("write_files", []):
    open(file["path"], "w").write(file["content"])
for command in config.get("runcmd", []):
    if command[0] == "sh":
        subprocess.run(command, check=True)
CLOUD_INIT
fi
sleep infinity &
wait $!
