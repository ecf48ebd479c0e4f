#!/bin/bash
# Runs as process 1 of new namespaces: lays out a machine's file system over this one's, and becomes its systemd.
#
#   boot.sh ROOT UPPER WORK LOWER
#
# What the box writes goes to UPPER and is there at its next boot; /run, /tmp and /dev are new each time, as after a
# reboot. LOWER is what overlayfs takes: layers of an earlier box, and / beneath them.
set -euo pipefail
root=$1 upper=$2 work=$3 lower=$4

mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
for folder in dev run tmp; do
    mount -t tmpfs -o mode=$([ $folder = tmp ] && echo 1777 || echo 755) tmpfs "$root/$folder"
done
mount -t proc proc "$root/proc"
# The settings of the kernel belong to the machine outside; only which boot this is differs.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
cat /proc/sys/kernel/random/uuid >"$root/run/boot-id"
mount --bind "$root/run/boot-id" "$root/proc/sys/kernel/random/boot_id"
mount --rbind /sys "$root/sys"
mount -o remount,bind,ro "$root/sys"
umount -R "$root/sys/fs/cgroup"
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
# A machine of its own boots only what it was told to: nothing of this one's is enabled, and no hardware is looked for.
mkdir -p "$root/run/systemd/system"
for unit in systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udev-trigger.service \
    systemd-networkd.service systemd-resolved.service systemd-timesyncd.service systemd-modules-load.service \
    systemd-remount-fs.service getty.target; do
    ln -s /dev/null "$root/run/systemd/system/$unit"
done

cd "$root"
mkdir run/outside
pivot_root . run/outside
umount -l /run/outside
rmdir /run/outside
mount --make-rshared /
exec env -i container=box PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --show-status=0
