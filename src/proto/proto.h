/*
 * proto.h - every message between host and guest, and between the library and
 * its msb-vmm, in one table that both sides compile.
 *
 * Wire form of a frame (little endian):
 *
 *	+---------------+----------+-----------+------------------+
 *	| u32 length    | u16 type | u16 zero  | payload: length  |
 *	+---------------+----------+-----------+------------------+
 *
 * The payload is the message's fields in table order. u8..u64 and i32 are
 * plain; `bytes` is a u32 count and the bytes; `str` is a u32 count, the bytes
 * and a NUL that the count leaves out (no NUL inside); `strs` is a u32 count
 * and that many `str`. Nothing may follow the last field.
 *
 * Versioning: HELLO and BOOT carry PROTO_VERSION. Numbers are never reused,
 * messages and fields are only appended, together with a new version.
 *
 * Sessions, each one vsock stream connection:
 *
 *	boot  guest -> host PROTO_PORT_BOOT: HELLO, then BOOT comes back, then
 *	      READY or FAILED. Stays open: SHUTDOWN, CLOCK and PING go down it.
 *	exec  host -> guest PROTO_PORT_AGENT: EXEC, then STARTED or
 *	      EXEC_FAILED; STDIN/SIGNAL/RESIZE down, STDOUT/STDERR/STDIN_ACK
 *	      up, EXITED last. Closing the connection kills the command.
 *	      Output needs no window (vsock credit stops the guest). Input does:
 *	      at most PROTO_STDIN_WINDOW bytes may be without STDIN_ACK, so that
 *	      a signal is never stuck behind input nobody reads.
 *
 * Library and msb-vmm speak VMM_* frames over a SOCK_SEQPACKET pair, one frame
 * a packet; VMM_CONNECT, VMM_KEEP and VMM_TAKEN carry one descriptor. When the
 * end of the process that started the machine (the owner) closes, the machine
 * dies, unless VMM_DETACH came before. Others speak the same over the listening
 * socket; answers (PONG, KEPT, TAKEN, STATS_REPLY, NET_EXPLAINED) go to who
 *asked, all else to everybody.
 *
 * A kept session is an exec session whose host end msb-vmm has: it drains it
 * into the log until somebody takes it back. `rest` is what its former holder
 * had read of it and not used: the beginning of what is still to be read.
 */
#ifndef PROTO_PROTO_H
#define PROTO_PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define PROTO_VERSION      4
#define PROTO_PORT_BOOT    1024 /* host port, the guest connects */
#define PROTO_PORT_AGENT   1025 /* guest port, the host connects */
#define PROTO_HEADER_LEN   8
#define PROTO_FRAME_MAX    (1u << 20)  /* payload; argv and env fit */
#define PROTO_DATA_MAX     (32u << 10) /* bytes of one STDIN/STDOUT/STDERR */
#define PROTO_STDIN_WINDOW (128u << 10)
#define PROTO_STRS_MAX     8192
#define PROTO_FILE_MAX     (128u << 10) /* bytes of one FILE_DATA */
#define PROTO_XATTRS_MAX   (128u << 10) /* of one FILE_ENTRY */
#define PROTO_CONSOLE_MAX  (8u << 10)   /* console tail in VMM_* messages */
#define PROTO_REST_MAX     (128u << 10) /* VMM_KEEP.rest, VMM_TAKEN.rest */
#define PROTO_VMM_MAX      (160u << 10) /* a whole packet of VMM_* */

/* FAILED.stage and VMM_FAILED.stage say where; they are shown to people. */

/* clang-format off */
#define PROTO_HELLO_FIELDS(F, m)    /* guest -> host */ \
	F(m, u32, version) \
	F(m, u64, boot_ns)             /* guest clock when init started */ \
	F(m, u64, since_init_ns)       /* from then until this was sent */
#define PROTO_BOOT_FIELDS(F, m)     /* host -> guest */ \
	F(m, u32, version) \
	F(m, u64, unix_ns)             /* wall clock for the guest */ \
	F(m, str, hostname) \
	F(m, str, root_serial)         /* virtio-blk serial of the EROFS root */ \
	F(m, str, upper_serial)        /* of the ext4 upper; "": a tmpfs upper */ \
	F(m, bytes, entropy)           /* mixed into the guest's pool */ \
	F(m, strs, scripts)            /* NAME, BODY, NAME, BODY, ... */ \
	F(m, strs, init)               /* argv of another pid 1; [0] "auto" */ \
	F(m, strs, init_env)           /* its environment, KEY=VALUE */ \
	F(m, str, root_type)           /* erofs, ext4, share: root_serial */ \
	F(m, u64, upper_bytes)         /* of a tmpfs upper; 0: half of memory */ \
	F(m, strs, mounts)             /* four each, see below */ \
	F(m, strs, net)                /* KEY=VALUE, see below; empty: none */ \
	F(m, bytes, cas)               /* PEM certificates to trust, or "" */
#define PROTO_READY_FIELDS(F, m)    /* guest -> host */ \
	F(m, u64, since_init_ns) \
	F(m, str, agent_version)
#define PROTO_FAILED_FIELDS(F, m)   /* guest -> host; it powers off next */ \
	F(m, str, stage) \
	F(m, i32, error)               /* errno, positive */ \
	F(m, str, message)
#define PROTO_SHUTDOWN_FIELDS(F, m)    /* host -> guest: sync, power off */ \
	F(m, u32, timeout_ms)          /* SIGTERM to all, then SIGKILL */
#define PROTO_CLOCK_FIELDS(F, m)    /* host -> guest: set the wall clock */ \
	F(m, u64, unix_ns)
#define PROTO_PING_FIELDS(F, m)     /* either way */ \
	F(m, u64, cookie)
#define PROTO_PONG_FIELDS(F, m) \
	F(m, u64, cookie)

/*
 * BOOT.mounts, in order: KIND ("share", "disk", "tmpfs"), SOURCE (the entry in
 * the virtio-fs root, the disk's serial, ""), TARGET (absolute), OPTIONS, comma
 * separated: ro noexec nosuid nodev, fstype=TYPE, size=BYTES, mode=OCTAL.
 * root_type share: root_serial is an entry in the virtio-fs root.
 */

/*
 * BOOT.net: mac=02:...; mtu=N; ip4=ADDR/BITS, gw4=ADDR; ip6=ADDR/BITS,
 * gw6=ADDR; route6=0 when there is no IPv6 beyond the gateway; dns=ADDR (more
 * than once); host=ADDR NAME (a line of /etc/hosts, more than once). Keys that
 * are not known are ignored.
 */

/*
 * A file session, host -> guest PROTO_PORT_AGENT: FILE_REQ first. What follows
 * is said at enum proto_file_op; the guest's last word is FILE_DONE, and where
 * the host sends, its own FILE_DONE goes before. A guest that has failed reads
 * on until the host hears of it. PING from the guest only says that it is at
 * work. Flow control is vsock's.
 *
 * A tree: FILE_ENTRY for its root (path ""), then for all below, a folder
 * before what is in it. Behind a regular file comes its content: FILE_DATA in
 * ascending order, what lies between two is zeros, and one without bytes at
 * the offset where the file ends (which may differ from the entry's size: it
 * is being written to).
 */
#define PROTO_FILE_REQ_FIELDS(F, m) /* host -> guest */ \
	F(m, u8, op)                   /* enum proto_file_op */ \
	F(m, str, path) \
	F(m, str, path2) \
	F(m, u32, flags)               /* enum proto_file_flag */ \
	F(m, u32, mode) \
	F(m, u32, uid) \
	F(m, u32, gid) \
	F(m, u64, offset) \
	F(m, u64, length)
#define PROTO_FILE_ENTRY_FIELDS(F, m) \
	F(m, str, path)                /* of a tree: below its root */ \
	F(m, str, target)              /* of a symbolic or hard link */ \
	F(m, u8, kind)                 /* enum proto_file_kind */ \
	F(m, u32, mode)                /* st_mode, with the type */ \
	F(m, u32, uid) \
	F(m, u32, gid) \
	F(m, u32, nlink) \
	F(m, u32, rdev_major) \
	F(m, u32, rdev_minor) \
	F(m, u64, size) \
	F(m, u64, allocated)           /* bytes on its disk; less: has holes */ \
	F(m, u64, mtime_s)             /* two's complement */ \
	F(m, u32, mtime_ns) \
	F(m, bytes, xattrs)            /* (u8 nlen, u16 vlen, name, value)* */
#define PROTO_FILE_DATA_FIELDS(F, m) \
	F(m, u64, offset) \
	F(m, bytes, data)
#define PROTO_FILE_DONE_FIELDS(F, m) \
	F(m, i32, error)               /* errno, positive; 0: well */ \
	F(m, str, message)             /* what failed: a path, in words */ \
	F(m, u64, count)               /* of bytes, or of entries */

#define PROTO_EXEC_FIELDS(F, m)     /* host -> guest */ \
	F(m, strs, argv)               /* argv[0] looked up in env's PATH */ \
	F(m, strs, env)                /* the whole environment, KEY=VALUE */ \
	F(m, str, cwd)                 /* "": / */ \
	F(m, str, user)                /* "": 0:0; NAME, UID, with :GROUP, :GID */ \
	F(m, strs, rlimits)            /* "nofile=1024:4096", soft:hard */ \
	F(m, u8, tty) \
	F(m, u16, rows)                /* of the tty; 0: 24 */ \
	F(m, u16, cols)                /* 0: 80 */ \
	F(m, u8, want_stdin)           /* 0: /dev/null */
#define PROTO_STARTED_FIELDS(F, m) \
	F(m, u32, pid)
#define PROTO_EXEC_FAILED_FIELDS(F, m) /* the command never ran */ \
	F(m, str, stage)               /* user, cwd, rlimit, pty, exec, fork */ \
	F(m, i32, error)               /* errno, positive */ \
	F(m, str, message)
#define PROTO_STDIN_FIELDS(F, m)    /* empty: end of file */ \
	F(m, bytes, data)
#define PROTO_STDIN_ACK_FIELDS(F, m)   /* bytes the command's pipe took */ \
	F(m, u32, count)
#define PROTO_STDOUT_FIELDS(F, m)   /* with a tty all output is STDOUT */ \
	F(m, bytes, data)
#define PROTO_STDERR_FIELDS(F, m) \
	F(m, bytes, data)
#define PROTO_SIGNAL_FIELDS(F, m)   /* to the command's process group */ \
	F(m, u32, signo)
#define PROTO_RESIZE_FIELDS(F, m) \
	F(m, u16, rows) \
	F(m, u16, cols)
#define PROTO_EXITED_FIELDS(F, m)   /* after all of its output */ \
	F(m, i32, code)                /* 0..255 when signo is 0 */ \
	F(m, u32, signo)

#define PROTO_VMM_STARTED_FIELDS(F, m) /* vmm -> lib: the engine runs */ \
	F(m, str, engine)              /* "qemu" */ \
	F(m, str, accel)               /* "tcg", "kvm" */ \
	F(m, u64, spawn_ns)            /* host CLOCK_MONOTONIC, engine started */
#define PROTO_VMM_READY_FIELDS(F, m)   /* vmm -> lib: the agent answers */ \
	F(m, u64, spawn_ns) \
	F(m, u64, init_ns)             /* the guest's init started */ \
	F(m, u64, ready_ns) \
	F(m, strs, jail)               /* names of the walls that hold */
#define PROTO_VMM_FAILED_FIELDS(F, m)  /* vmm -> lib, then it exits */ \
	F(m, i32, error)               /* errno, positive */ \
	F(m, str, stage)               /* config, engine, boot, agent */ \
	F(m, str, message) \
	F(m, str, hint)                /* next step for the user, or "" */ \
	F(m, bytes, console)           /* tail of the guest's console */
#define PROTO_VMM_CONNECT_FIELDS(F, m) /* lib -> vmm, with one stream socket */ \
	F(m, u32, port)                /* guest vsock port; refused: it closes */
#define PROTO_VMM_STOP_FIELDS(F, m)    /* lib -> vmm */ \
	F(m, u32, timeout_ms)          /* graceful; 0: kill at once */
#define PROTO_VMM_TOUCH_FIELDS(F, m)   /* lib -> vmm: it is still wanted */ \
	F(m, u32, zero)
#define PROTO_VMM_EXITED_FIELDS(F, m)  /* vmm -> lib: the machine is gone */ \
	F(m, str, reason)              /* poweroff, exited, panic, killed... */ \
	F(m, str, message)             /* "" when nothing is wrong */ \
	F(m, bytes, console) \
	F(m, i32, exit_code)           /* of the main command; -1: none */
#define PROTO_VMM_PING_FIELDS(F, m)    /* lib -> vmm -> agent and back */ \
	F(m, u64, cookie)
#define PROTO_VMM_PONG_FIELDS(F, m) \
	F(m, u64, cookie)
#define PROTO_VMM_DETACH_FIELDS(F, m)  /* owner -> vmm: live on without me */ \
	F(m, u32, zero)
#define PROTO_VMM_KEEP_FIELDS(F, m)    /* lib -> vmm, with the session */ \
	F(m, u64, session)             /* its number in the logs, not 0 */ \
	F(m, u8, is_main)              /* the machine ends with it */ \
	F(m, u8, tty) \
	F(m, u8, want_stdin)           /* it has one that may be written to */ \
	F(m, u8, no_log)               /* its output is kept nowhere */ \
	F(m, u32, unacked)             /* bytes of STDIN without STDIN_ACK */ \
	F(m, bytes, rest)
#define PROTO_VMM_KEPT_FIELDS(F, m) \
	F(m, u64, session) \
	F(m, i32, error)               /* 0, or errno: the session is closed */
#define PROTO_VMM_TAKE_FIELDS(F, m)    /* lib -> vmm */ \
	F(m, u64, session)             /* 0: the main one, else the only one */
#define PROTO_VMM_TAKEN_FIELDS(F, m)   /* with the session if error is 0 */ \
	F(m, i32, error)               /* ENOENT, or 0 */ \
	F(m, u64, session) \
	F(m, u8, is_main) \
	F(m, u8, tty) \
	F(m, u8, want_stdin) \
	F(m, u8, no_log) \
	F(m, u32, unacked) \
	F(m, bytes, rest)
#define PROTO_VMM_STATS_FIELDS(F, m)   /* lib -> vmm */ \
	F(m, u64, cookie)
#define PROTO_VMM_STATS_REPLY_FIELDS(F, m) /* as struct msb_metrics */ \
	F(m, u64, cookie) \
	F(m, u64, time_ns) \
	F(m, u64, uptime_ns) \
	F(m, u64, cpu_ns) \
	F(m, u64, memory_bytes) \
	F(m, u64, memory_resident_bytes) \
	F(m, u64, memory_returned_bytes) \
	F(m, u64, disk_read_bytes) \
	F(m, u64, disk_write_bytes) \
	F(m, u64, disk_reads) \
	F(m, u64, disk_writes) \
	F(m, u64, net_rx_bytes) \
	F(m, u64, net_tx_bytes) \
	F(m, u32, cpus) \
	F(m, u32, sessions) \
	F(m, u64, net_rx_packets) \
	F(m, u64, net_tx_packets) \
	F(m, u64, net_flows)           /* that were let through */ \
	F(m, u64, net_open)            /* of them now */ \
	F(m, u64, net_denied)          /* flows, by the policy */ \
	F(m, u64, net_refused)         /* flows, by a limit */ \
	F(m, u64, net_dns_queries) \
	F(m, u64, net_dns_denied) \
	F(m, u64, tls_flows) \
	F(m, u64, tls_refused) \
	F(m, u64, secrets_used) \
	F(m, u64, secret_violations) \
	F(m, u64, secrets_masked)
#define PROTO_VMM_NET_EXPLAIN_FIELDS(F, m) /* lib -> vmm */ \
	F(m, u64, cookie) \
	F(m, str, host)                /* a name or an address */ \
	F(m, u16, port) \
	F(m, str, protocol)            /* tcp, udp, icmp */
#define PROTO_VMM_NET_EXPLAINED_FIELDS(F, m) \
	F(m, u64, cookie) \
	F(m, i32, error)               /* 0, ENODEV: it has no network */ \
	F(m, str, json)                /* docs/network.md */

/* number, struct and constant name, fields */
#define PROTO_MESSAGES(M) \
	M(1,  hello,       HELLO) \
	M(2,  boot,        BOOT) \
	M(3,  ready,       READY) \
	M(4,  failed,      FAILED) \
	M(5,  shutdown,    SHUTDOWN) \
	M(6,  clock,       CLOCK) \
	M(7,  ping,        PING) \
	M(8,  pong,        PONG) \
	M(16, exec,        EXEC) \
	M(17, started,     STARTED) \
	M(18, exec_failed, EXEC_FAILED) \
	M(19, stdin_data,  STDIN) \
	M(20, stdin_ack,   STDIN_ACK) \
	M(21, stdout_data, STDOUT) \
	M(22, stderr_data, STDERR) \
	M(23, signal,      SIGNAL) \
	M(24, resize,      RESIZE) \
	M(25, exited,      EXITED) \
	M(32, file_req,    FILE_REQ) \
	M(33, file_entry,  FILE_ENTRY) \
	M(34, file_data,   FILE_DATA) \
	M(35, file_done,   FILE_DONE) \
	M(64, vmm_started, VMM_STARTED) \
	M(65, vmm_ready,   VMM_READY) \
	M(66, vmm_failed,  VMM_FAILED) \
	M(67, vmm_connect, VMM_CONNECT) \
	M(68, vmm_stop,    VMM_STOP) \
	M(69, vmm_exited,  VMM_EXITED) \
	M(70, vmm_touch,   VMM_TOUCH) \
	M(71, vmm_ping,    VMM_PING) \
	M(72, vmm_pong,    VMM_PONG) \
	M(73, vmm_detach,  VMM_DETACH) \
	M(74, vmm_keep,    VMM_KEEP) \
	M(75, vmm_kept,    VMM_KEPT) \
	M(76, vmm_take,    VMM_TAKE) \
	M(77, vmm_taken,   VMM_TAKEN) \
	M(78, vmm_stats,   VMM_STATS) \
	M(79, vmm_stats_reply, VMM_STATS_REPLY) \
	M(80, vmm_net_explain, VMM_NET_EXPLAIN) \
	M(81, vmm_net_explained, VMM_NET_EXPLAINED)
/* clang-format on */

/* G: the guest's answer before FILE_DONE, H: what the host sends. */
enum proto_file_op {
	PROTO_FILE_STAT = 1, /* G: FILE_ENTRY */
	PROTO_FILE_LIST,     /* G: FILE_ENTRY for each, by name */
	PROTO_FILE_MKDIR,
	PROTO_FILE_REMOVE,
	PROTO_FILE_RENAME, /* to path2 */
	PROTO_FILE_CHMOD,
	PROTO_FILE_CHOWN,
	PROTO_FILE_SYMLINK,    /* path2: its text */
	PROTO_FILE_COPY,       /* to path2, within the guest */
	PROTO_FILE_READ,       /* G: FILE_ENTRY and its content */
	PROTO_FILE_WRITE,      /* H: content */
	PROTO_FILE_TREE_READ,  /* G: a tree */
	PROTO_FILE_TREE_WRITE, /* H: a tree; path2: its name, for a folder */
	PROTO_FILE_UPPER_READ, /* G: the upper as a tree, for a commit */
};

/* Those to 32 are enum msb_file_flags. */
enum proto_file_flag {
	PROTO_FILE_NO_FOLLOW = 1,
	PROTO_FILE_RECURSIVE = 2,
	PROTO_FILE_APPEND = 4,
	PROTO_FILE_EXCLUSIVE = 8,
	PROTO_FILE_FORCE = 16,
	PROTO_FILE_NO_REPLACE = 32,
	PROTO_FILE_OWNER = 64,    /* TREE_WRITE, COPY: keep owners */
	PROTO_FILE_CONTENT = 128, /* TREE_WRITE: into the folder, not below */
	PROTO_FILE_PARENTS = 256, /* TREE_WRITE: missing folders are made */
};

enum proto_file_kind {
	PROTO_FILE_PLAIN = 0, /* as st_mode says */
	PROTO_FILE_HARDLINK = 1,
	PROTO_FILE_WHITEOUT = 2, /* UPPER_READ: removed from the image */
	PROTO_FILE_OPAQUE = 3,   /* a folder that hides the image's */
};

struct proto_bytes {
	const uint8_t *p;
	uint32_t n;
};

struct proto_strs {
	char *const *v; /* NULL-terminated when decoded */
	uint32_t n;
};

typedef uint8_t proto_u8;
typedef uint16_t proto_u16;
typedef uint32_t proto_u32;
typedef uint64_t proto_u64;
typedef int32_t proto_i32;
typedef const char *proto_str;
typedef struct proto_bytes proto_bytes;
typedef struct proto_strs proto_strs;

#define PROTO_ENUM(num, name, NAME) PROTO_##NAME = (num),
enum proto_type { PROTO_MESSAGES(PROTO_ENUM) };
#undef PROTO_ENUM

#define PROTO_FIELD(msg, type, name) proto_##type name;
#define PROTO_STRUCT(num, name, NAME)                                          \
	struct proto_##name {                                                  \
		PROTO_##NAME##_FIELDS(PROTO_FIELD, name)                       \
	};
PROTO_MESSAGES(PROTO_STRUCT)
#undef PROTO_STRUCT
#undef PROTO_FIELD

/*
 * One message of any type: { .type = PROTO_PING, .ping = { .cookie = 1 } }.
 * When decoded, strings and bytes point into the decoded frame and lists into
 * `mem`, so the frame must outlive the message; proto_release() frees `mem`.
 */
struct proto_msg {
	enum proto_type type;
	void *mem;
	union {
#define PROTO_MEMBER(num, name, NAME) struct proto_##name name;
		PROTO_MESSAGES(PROTO_MEMBER)
#undef PROTO_MEMBER
	};
};

/* Append the whole frame. 0, -ENOMEM, -E2BIG, or -EINVAL (NUL, bad type). */
int proto_encode(struct buf *b, const struct proto_msg *msg);

/*
 * Decode the first frame of @data. Returns the number of bytes it took, 0 when
 * more bytes are needed, -EPROTO when the sender broke the rules (the session
 * must end), -ENOMEM. @msg is written on a positive result only.
 */
ssize_t proto_decode(const void *data, size_t len, struct proto_msg *msg);

void proto_release(struct proto_msg *msg); /* NULL is fine */

/* "EXEC" and so on; "?" for a number that is not in the table. */
const char *proto_type_name(unsigned type);

#define cleanup_proto cleanup(proto_release)

#endif
