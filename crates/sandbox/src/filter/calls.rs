//! Which system calls (x86-64 table) are missing, refused, empty, or trapped.

/// Answered as if the kernel did not have them, because programs then take another way.
pub(super) const MISSING_CALLS: &[i64] = &[
    // Flags in memory, out of the filter's sight; C libraries fall back to clone.
    libc::SYS_clone3,
    // The same for open modes.
    libc::SYS_openat2,
    // Would do system calls behind the filter's back.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Memory that no limit sees while it is not mapped.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    // What they hold the kernel counts by the host's user, and gives back some time after their end.
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend,
    libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify,
    libc::SYS_mq_getsetattr,
    // Registered, the kernel would write the processor's number into the thread's memory.
    libc::SYS_rseq,
    // Kernel interfaces that a host may or may not have.
    libc::SYS_userfaultfd,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    SYS_FUTEX_WAITV,
    libc::SYS_perf_event_open,
    libc::SYS_bpf,
    libc::SYS_fanotify_init,
    // Counts and names the host's file systems; many kernels are built without it.
    libc::SYS_sysfs,
    // Its cookies count in the whole kernel.
    libc::SYS_inotify_init,
    libc::SYS_inotify_init1,
    libc::SYS_uselib,
    libc::SYS__sysctl,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
];

/// Answered "operation not permitted".
pub(super) const REFUSED_CALLS: &[i64] = &[
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Key rings, which namespaces do not separate.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Files without a path.
    libc::SYS_open_by_handle_at,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_vhangup,
];

/// Extended attributes: file systems that a root may lie on have them or not.
pub(super) const UNSUPPORTED_CALLS: &[i64] = &[
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_name_to_handle_at,
];
pub(super) const EMPTY_CALLS: &[i64] = &[
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    // An ordinary user cannot drop supplementary groups: hide them.
    libc::SYS_getgroups,
];

/// Calls that the parent answers whatever their arguments are.
pub(super) const TRAPPED_CALLS: &[i64] = &[
    // Clocks.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_time,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_getitimer,
    libc::SYS_timer_gettime,
    libc::SYS_timer_delete,
    libc::SYS_timerfd_gettime,
    // Queues and semaphores.
    libc::SYS_msgget,
    libc::SYS_semget,
    // Sockets.
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_sendto,
    libc::SYS_sendmmsg,
    // The machine.
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getcpu,
    libc::SYS_getrandom,
    libc::SYS_mincore,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_sched_setparam,
    libc::SYS_sched_getattr,
    libc::SYS_sched_setattr,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_ioprio_get,
    libc::SYS_ioprio_set,
    // Files.
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents,
    libc::SYS_getdents64,
    libc::SYS_access,
    libc::SYS_faccessat,
    SYS_FACCESSAT2,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_utimensat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    // Processes.
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
/// Calls whose arguments or results are mended (`host/time/deadlines.rs`).
pub(super) const MENDED_CALLS: &[i64] = &[
    libc::SYS_alarm,
    libc::SYS_setitimer,
    libc::SYS_timer_settime,
    libc::SYS_timerfd_settime,
];
/// Calls that wait for a child: mended if this argument, for the child's usage, is not null.
pub(super) const CHILD_WAITS: &[(i64, u32)] = &[(libc::SYS_wait4, 3), (libc::SYS_waitid, 4)];
pub(super) const SYS_FACCESSAT2: i64 = 439;

/// Calls that wait, and which argument says for how long: in milliseconds, negative for ever.
pub(super) const WAITS_MS: &[(i64, u32)] = &[
    (libc::SYS_poll, 2),
    (libc::SYS_epoll_wait, 3),
    (libc::SYS_epoll_pwait, 3),
];
/// The same with a pointer, null for ever.
pub(super) const WAITS: &[(i64, u32)] = &[
    (libc::SYS_select, 4),
    (libc::SYS_pselect6, 4),
    (libc::SYS_ppoll, 2),
    (libc::SYS_epoll_pwait2, 3),
    (libc::SYS_rt_sigtimedwait, 2),
    (libc::SYS_semtimedop, 3),
];
/// `futex(2)`: to wait, to wait for bits, to lock; private or of the real-time clock.
pub(super) const FUTEX_WAITS: [u32; 14] = [
    0, 128, 256, 384, 9, 137, 265, 393, 6, 134, 13, 141, 269, 397,
];
/// To wait and then to lock (`FUTEX_WAIT_REQUEUE_PI`), which cannot be begun anew with another time limit.
pub(super) const FUTEX_REQUEUE_WAITS: [u32; 4] = [11, 139, 267, 395];
/// `arch_prctl(2)`: sets the base of thread-local storage.
pub(super) const ARCH_SET_FS: u32 = 0x1002;
/// The other base, and what both are: `ARCH_SET_GS`, `ARCH_GET_FS`, `ARCH_GET_GS`.
pub(super) const ARCH_BASES: [u32; 3] = [0x1001, 0x1003, 0x1004];

/// `prctl(2)`: the first option that does not exist inside, behind `PR_SCHED_CORE`, which needs
/// processors that share a core. `PR_SET_VMA` and `PR_SET_PTRACER`, far above, depend on how the
/// host's kernel was built.
pub(super) const PRCTL_END: u32 = libc::PR_SCHED_CORE as u32;
/// `PR_GET_SPECULATION_CTRL` and `PR_SET_SPECULATION_CTRL`: which flaws the processor has.
pub(super) const SPECULATION_OPTIONS: [u32; 2] = [52, 53];

/// From so many bytes on, a shared mapping may be more than a machine has.
pub(super) const LARGE_MAPPING_BYTES: u32 = 256 << 20;

/// Calls that set a file's mode, and which argument it is. `mkdir` is not among them: the
/// kernel takes no set-id bit from it.
pub(super) const MODE_CALLS: &[(i64, u32)] = &[
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
];

/// Numbers without a call, in which later kernels find room for theirs.
pub(super) const UNASSIGNED: std::ops::RangeInclusive<u32> = 335..=423;
/// Waits for several words, with its time limit out of the filter's sight.
const SYS_FUTEX_WAITV: i64 = 449;

/// Which network namespace it is, counted from the start of the host.
const SO_NETNS_COOKIE: i32 = 71;

/// Options of sockets that show what only the host knows.
pub(super) const HIDDEN_OPTIONS: &[(i32, i32)] = &[
    (libc::SOL_SOCKET, libc::SO_COOKIE),
    (libc::SOL_SOCKET, libc::SO_INCOMING_CPU),
    (libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID),
    (libc::SOL_SOCKET, libc::SO_PEERGROUPS),
    (libc::SOL_SOCKET, libc::SO_MEMINFO),
    (libc::SOL_SOCKET, SO_NETNS_COOKIE),
    (libc::IPPROTO_TCP, libc::TCP_INFO),
    (libc::IPPROTO_TCP, libc::TCP_TIMESTAMP),
    (libc::IPPROTO_TCP, libc::TCP_CONGESTION),
    (libc::IPPROTO_TCP, libc::TCP_CC_INFO),
    (libc::IPPROTO_TCP, TCP_SAVED_SYN),
    (libc::IPPROTO_IPV6, IPV6_FLOWLABEL_MGR),
];
/// A connection's first packet, with numbers that the kernel drew.
const TCP_SAVED_SYN: i32 = 28;
/// Labels of flows, which the kernel draws.
const IPV6_FLOWLABEL_MGR: i32 = 32;

/// Options of sockets that would stamp packets with the host's time, show what its kernel has drawn,
/// let it choose by such numbers, or run a program that can see them.
pub(super) const UNSETTABLE_OPTIONS: &[(i32, i32)] = &[
    (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    // SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF.
    (libc::SOL_SOCKET, 50),
    (libc::SOL_SOCKET, 51),
    (libc::SOL_SOCKET, 52),
    // TCP_SAVE_SYN.
    (libc::IPPROTO_TCP, 27),
    (libc::IPPROTO_TCP, libc::TCP_CONGESTION),
    (libc::IPPROTO_IPV6, IPV6_FLOWLABEL_MGR),
    // IPV6_2292HOPLIMIT, IPV6_FLOWINFO, IPV6_FLOWINFO_SEND, IPV6_RECVHOPLIMIT.
    (libc::IPPROTO_IPV6, 8),
    (libc::IPPROTO_IPV6, 11),
    (libc::IPPROTO_IPV6, 33),
    (libc::IPPROTO_IPV6, 51),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPING),
    (libc::SOL_SOCKET, 63),
    (libc::SOL_SOCKET, 64),
    (libc::SOL_SOCKET, 65),
];
/// What sockets speak: the family's own, TCP, UDP; 1 is another name for the first, of local ones.
/// Others (`IPPROTO_MPTCP`) draw keys.
pub(super) const SOCKET_PROTOCOLS: [i32; 4] = [0, 1, libc::IPPROTO_TCP, libc::IPPROTO_UDP];

/// `fcntl(2)`: where the commands begin that only Linux has, and which of them exist inside:
/// `F_DUPFD_CLOEXEC`, `F_GETPIPE_SZ`.
pub(super) const LINUX_COMMANDS_START: u32 = 1024;
pub(super) const LINUX_COMMANDS: [u32; 2] = [1030, 1032];
/// `preadv2(2)`: `RWF_HIPRI`, `RWF_DSYNC`, `RWF_SYNC`, `RWF_APPEND`.
pub(super) const IO_FLAGS: u32 = 0x17;
/// The upper half of the first offset that no file reaches: 8 TiB.
pub(super) const OFFSET_END_HIGH: u32 = 0x800;
pub(super) const FIOQSIZE: u32 = 0x5460;
pub(super) const SIOCGSTAMP: u32 = 0x8906;
pub(super) const SIOCGSTAMPNS: u32 = 0x8907;

/// Requests of `ioctl(2)` that exist inside, by their kind, the second byte: those of terminals and
/// of any descriptor, and of sockets. The others show how a file system keeps its files, or what
/// the host's numbers for its own things are.
pub(super) const REQUEST_KINDS: [u32; 2] = [0x5400, 0x8900];

/// Calls that tell when and by whom System V objects were used, and the argument that asks so.
pub(super) const STATISTICS: &[(i64, u32)] = &[
    (libc::SYS_msgctl, 1),
    (libc::SYS_semctl, 2),
    (libc::SYS_shmctl, 1),
];
/// `IPC_STAT` and `IPC_INFO`.
pub(super) const STATISTICS_COMMANDS: [u32; 2] = [2, 3];
