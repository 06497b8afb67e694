"""Where cgroups are mounted on machines of different kinds, and what a process of each is told."""

V1 = (
    "30 20 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "31 30 0:26 {shows} /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "32 30 0:27 {shows} /sys/fs/cgroup/memory rw,nosuid shared:10 - cgroup cgroup rw,memory\n"
    "33 30 0:28 {shows} /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
)
V2 = "31 20 0:26 {shows} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = V1 + "34 30 0:29 {shows} /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
ROOT_FS = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


def machine(
    mounts: str, memberships: str, groups: dict[str, str], shows: str = "/"
) -> dict[str, str]:
    """Files of a machine; `groups` are below /sys/fs/cgroup, `shows` is each mount's own group."""
    return {
        "proc/self/mountinfo": ROOT_FS + mounts.format(shows=shows),
        "proc/self/cgroup": memberships,
        **{f"sys/fs/cgroup/{name}": text for name, text in groups.items()},
    }
