#include "acts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/mount.h> and the new calls' header exclude each other. */
int mount(const char *source, const char *target, const char *type,
          unsigned long flags, const void *data);
int umount2(const char *target, int flags);

static const char *in_dir(const struct targets *t, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	return path;
}

/* A descriptor or -1, as 0 or -1. */
static int closed(long fd)
{
	if (fd < 0)
		return -1;
	(void)close((int)fd);
	return 0;
}

static int open_it(const char *path, int flags)
{
	return closed(open(path, flags | O_CLOEXEC, 0600));
}

/* ---- files ---- */

static int read_passwd(const struct targets *t)
{
	(void)t;
	return open_it("/etc/passwd", O_RDONLY);
}

static int read_key(const struct targets *t)
{
	return open_it(in_dir(t, "key"), O_RDONLY);
}

static int write_key(const struct targets *t)
{
	return open_it(in_dir(t, "key"), O_WRONLY);
}

static int make_file(const struct targets *t)
{
	return open_it(in_dir(t, "new"), O_WRONLY | O_CREAT);
}

static int make_file_here(const struct targets *t)
{
	char path[64];
	int r;

	(void)t;
	(void)snprintf(path, sizeof(path), "/escape-%d", (int)getpid());
	r = open_it(path, O_WRONLY | O_CREAT | O_EXCL);
	(void)unlink(path);
	return r;
}

static int remove_file(const struct targets *t)
{
	return unlink(in_dir(t, "spare"));
}

static int rename_file(const struct targets *t)
{
	char to[256];

	(void)snprintf(to, sizeof(to), "%s/key2", t->dir);
	if (rename(in_dir(t, "key"), to) < 0)
		return -1;
	return rename(to, in_dir(t, "key"));
}

static int change_mode(const struct targets *t)
{
	return chmod(in_dir(t, "key"), 0600);
}

static int cut_file(const struct targets *t)
{
	return truncate(in_dir(t, "key"), 1);
}

static int make_dir(const struct targets *t)
{
	return mkdir(in_dir(t, "folder"), 0700);
}

static int make_link(const struct targets *t)
{
	return symlink("/etc/passwd", in_dir(t, "link"));
}

static int look_at_key(const struct targets *t)
{
	struct stat st;

	return stat(in_dir(t, "key"), &st);
}

/* By each folder that is open here; outside of the jail by one of ours. */
static int above(const struct targets *t, const char *name, int flags)
{
	int ours = open(in_dir(t, "share"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = -1;

	for (int fd = 3; fd < 600 && r < 0; fd++)
		r = (int)syscall(SYS_openat, fd, name, flags | O_CLOEXEC, 0600);
	if (ours >= 0)
		(void)close(ours);
	return closed(r);
}

static int above_share(const struct targets *t)
{
	return above(t, "../key", O_RDONLY);
}

static int write_above_share(const struct targets *t)
{
	return above(t, "../key", O_WRONLY);
}

static int own_program(const struct targets *t)
{
	(void)t;
	return open_it("/proc/self/exe", O_RDONLY);
}

static int first_process(const struct targets *t)
{
	(void)t;
	return open_it("/proc/1/status", O_RDONLY);
}

static int own_memory(const struct targets *t)
{
	(void)t;
	return open_it("/proc/self/mem", O_RDWR);
}

static int device(const struct targets *t)
{
	(void)t;
	return open_it("/dev/null", O_RDWR);
}

static int list_folder(const struct targets *t)
{
	DIR *d = opendir(t->dir);

	if (!d)
		return -1;
	return closedir(d);
}

static int open_at_2(const struct targets *t)
{
	struct {
		unsigned long long flags, mode, resolve;
	} how = {O_RDONLY | O_CLOEXEC, 0, 0};

	return closed(syscall(SYS_openat2, AT_FDCWD, in_dir(t, "key"), &how,
	                      sizeof(how)));
}

static int open_by_handle(const struct targets *t)
{
	union {
		struct file_handle h;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = {.h = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount_id, dir;

	if (name_to_handle_at(AT_FDCWD, in_dir(t, "key"), &u.h, &mount_id, 0) <
	    0)
		return -1;
	dir = open("/", O_RDONLY | O_CLOEXEC);
	return closed(open_by_handle_at(dir, &u.h, O_RDONLY));
}

static int change_root(const struct targets *t)
{
	return chroot(t->dir);
}

static int watch_files(const struct targets *t)
{
	(void)t;
	return closed(syscall(SYS_inotify_init1, 0));
}

/* ---- network ---- */

static int dial(int family, const void *addr, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -1 : connect(fd, addr, len);
	int e = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = e;
	return r;
}

static int host_socket(const struct targets *t)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s",
	               in_dir(t, "socket"));
	return dial(AF_UNIX, &a, sizeof(a));
}

static int abstract_socket(const struct targets *t)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(t->abstract);

	memcpy(a.sun_path + 1, t->abstract, n);
	return dial(
		AF_UNIX, &a,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n));
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons((uint16_t)port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int tcp(const struct targets *t)
{
	struct sockaddr_in a = loopback(t->tcp_port);

	return dial(AF_INET, &a, sizeof(a));
}

static int udp(const struct targets *t)
{
	struct sockaddr_in a = loopback(t->udp_port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	return sendto(fd, "x", 1, 0, (void *)&a, sizeof(a)) == 1 ? 0 : -1;
}

static int listen_tcp(const struct targets *t)
{
	struct sockaddr_in a = loopback(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)t;
	if (fd < 0 || bind(fd, (void *)&a, sizeof(a)) < 0)
		return -1;
	return listen(fd, 1);
}

static int netlink(const struct targets *t)
{
	(void)t;
	return closed(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

static int raw_socket(const struct targets *t)
{
	(void)t;
	return closed(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int packet_socket(const struct targets *t)
{
	(void)t;
	return closed(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
}

static int vsock(const struct targets *t)
{
	(void)t;
	return closed(socket(AF_VSOCK, SOCK_STREAM, 0));
}

static int ping_socket(const struct targets *t)
{
	(void)t;
	return closed(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
}

/* Bluetooth, crypto, CAN, XDP and whatever else this kernel has. */
static int other_family(const struct targets *t)
{
	const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};

	(void)t;
	for (int family = 1; family < 64; family++) {
		if (family == AF_UNIX || family == AF_INET ||
		    family == AF_INET6 || family == AF_NETLINK ||
		    family == AF_PACKET || family == AF_VSOCK)
			continue;
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			if (closed(socket(family, types[i], 0)) == 0)
				return 0;
	}
	return -1;
}

static int datagram_pair(const struct targets *t)
{
	int pair[2];

	(void)t;
	return socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
}

/* The main thread may name a socket, but not choose what it is called. */
static int name_socket(const struct targets *t)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX,
	                        .sun_path = "\0msb-named"};
	int pair[2], r;

	(void)t;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	r = bind(pair[0], (void *)&a, sizeof(a));
	(void)close(pair[0]);
	(void)close(pair[1]);
	return r;
}

/* ---- other processes ---- */

static int kill_other(const struct targets *t)
{
	return kill(t->pid, 0);
}

static int kill_all(const struct targets *t)
{
	(void)t;
	return kill(-1, 0);
}

static int tgkill_other(const struct targets *t)
{
	return (int)syscall(SYS_tgkill, t->pid, t->pid, SIGCONT);
}

static int queue_signal(const struct targets *t)
{
	return sigqueue(t->pid, 0, (union sigval){0});
}

static int pidfd(const struct targets *t)
{
	return closed(syscall(SYS_pidfd_open, t->pid, 0));
}

static int trace(const struct targets *t)
{
	return (int)ptrace(PTRACE_SEIZE, t->pid, 0, 0);
}

static int trace_parent(const struct targets *t)
{
	(void)t;
	return (int)ptrace(PTRACE_SEIZE, getppid() ? getppid() : 1, 0, 0);
}

static int read_memory(const struct targets *t)
{
	char byte;
	struct iovec ours = {&byte, 1}, theirs = {&byte, 1};

	/* It has the same stack addresses only by chance: EFAULT is a yes. */
	if (process_vm_readv(t->pid, &ours, 1, &theirs, 1, 0) < 0 &&
	    errno != EFAULT)
		return -1;
	return 0;
}

static int limit_other(const struct targets *t)
{
	struct rlimit l;

	return prlimit(t->pid, RLIMIT_CORE, NULL, &l);
}

static int slow_other(const struct targets *t)
{
	return setpriority(PRIO_PROCESS, (id_t)t->pid, 5);
}

static int bind_other(const struct targets *t)
{
	cpu_set_t set;

	if (sched_getaffinity(t->pid, sizeof(set), &set) < 0)
		return -1;
	return sched_setaffinity(t->pid, sizeof(set), &set);
}

static int shared_memory(const struct targets *t)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600);

	(void)t;
	return id < 0 ? -1 : shmctl(id, IPC_RMID, NULL);
}

/* ---- namespaces and mounts ---- */

static int new_user_ns(const struct targets *t)
{
	(void)t;
	return unshare(CLONE_NEWUSER);
}

static int new_mount_ns(const struct targets *t)
{
	(void)t;
	return unshare(CLONE_NEWNS);
}

static int ended(long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return -1;
	return waitpid((pid_t)pid, NULL, 0) == pid ? 0 : -1;
}

static int clone_ns(const struct targets *t)
{
	(void)t;
	return ended(syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD,
	                     NULL, NULL, NULL, NULL));
}

static int new_process(const struct targets *t)
{
	(void)t;
	return ended(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static int clone_3(const struct targets *t)
{
	struct {
		unsigned long long flags, pidfd, tid1, tid2, exit_signal, stack,
			stack_size, tls;
	} args = {.exit_signal = SIGCHLD};

	(void)t;
	return ended(syscall(SYS_clone3, &args, sizeof(args)));
}

static int enter_ns(const struct targets *t)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", t->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : setns(fd, 0);
}

static int mount_tmpfs(const struct targets *t)
{
	return mount("none", t->dir, "tmpfs", 0, NULL);
}

static int bind_mount(const struct targets *t)
{
	return mount("/", t->dir, NULL, 4096 /* MS_BIND */, NULL);
}

static int remount_root(const struct targets *t)
{
	(void)t;
	return mount(NULL, "/", NULL, 32 | 4096 /* MS_REMOUNT | MS_BIND */,
	             NULL);
}

static int file_system(const struct targets *t)
{
	(void)t;
	return closed(syscall(SYS_fsopen, "tmpfs", 0));
}

static int open_a_tree(const struct targets *t)
{
	(void)t;
	return closed(syscall(SYS_open_tree, AT_FDCWD, "/", 1));
}

static int host_name(const struct targets *t)
{
	char name[65];

	(void)t;
	if (gethostname(name, sizeof(name)) < 0)
		return -1;
	return sethostname(name, strlen(name));
}

/* ---- the kernel's wide doors ---- */

static int bpf_map(const struct targets *t)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY,
	                       .key_size = 4,
	                       .value_size = 4,
	                       .max_entries = 1};

	(void)t;
	return closed(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static int keys(const struct targets *t)
{
	(void)t;
	return syscall(SYS_keyctl, 0 /* get keyring */, -3, 1) < 0 ? -1 : 0;
}

static int fault_handler(const struct targets *t)
{
	(void)t;
	return closed(syscall(SYS_userfaultfd, O_CLOEXEC));
}

static int performance(const struct targets *t)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
	                               .size = sizeof(attr),
	                               .config = PERF_COUNT_SW_TASK_CLOCK};

	(void)t;
	return closed(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int uring(const struct targets *t)
{
	struct io_uring_params p = {0};

	(void)t;
	return closed(syscall(SYS_io_uring_setup, 4, &p));
}

static int kernel_log(const struct targets *t)
{
	(void)t;
	return syscall(SYS_syslog, 10 /* size */, NULL, 0) < 0 ? -1 : 0;
}

static int be_another_system(const struct targets *t)
{
	(void)t;
	return personality(0xffffffff) < 0 ? -1 : 0;
}

static int segments(const struct targets *t)
{
	char ldt[16];

	(void)t;
	return syscall(SYS_modify_ldt, 0, ldt, sizeof(ldt)) < 0 ? -1 : 0;
}

static int terminal(const struct targets *t)
{
	char c = ' ';

	(void)t;
	return ioctl(0, TIOCSTI, &c);
}

/* ---- rights and limits ---- */

static int show_memory(const struct targets *t)
{
	(void)t;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int handle_signals(const struct targets *t)
{
	struct sigaction sa = {.sa_handler = SIG_IGN};

	(void)t;
	return sigaction(SIGUSR2, &sa, NULL);
}

static int be_root(const struct targets *t)
{
	(void)t;
	return (int)syscall(SYS_setresuid, 0, 0, 0);
}

static int more_files(const struct targets *t)
{
	struct rlimit l = {64, 64};

	(void)t;
	return setrlimit(RLIMIT_CORE, &l);
}

/* ---- code ---- */

static int code_page(const struct targets *t)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)t;
	return p == MAP_FAILED ? -1 : 0;
}

static int data_to_code(const struct targets *t)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)t;
	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int code_file(const struct targets *t)
{
	int fd = (int)syscall(SYS_memfd_create, "code", 0);
	void *p;

	(void)t;
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return -1;
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? -1 : 0;
}

/* They come back only when they failed. */

static int run_program(const struct targets *t)
{
	char *argv[] = {(char *)"true", NULL};

	return execv(in_dir(t, "true"), argv);
}

static int run_shell(const struct targets *t)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)":", NULL};

	(void)t;
	return execv("/bin/sh", argv);
}

/* The running program itself: its descriptors need no name. */
static int run_memory(const struct targets *t)
{
	char *argv[] = {(char *)"x", NULL};
	int fd = (int)syscall(SYS_memfd_create, "x", 0);
	int from = open(in_dir(t, "true"), O_RDONLY);
	char chunk[4096];
	ssize_t n;

	while (from >= 0 && (n = read(from, chunk, sizeof(chunk))) > 0)
		if (write(fd, chunk, (size_t)n) != n)
			return -1;
	return (int)syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
}

/* The one that must work everywhere, or a refusal would mean nothing. */
static int nothing(const struct targets *t)
{
	return t->dir[0] ? 0 : -1;
}

const struct act acts[] = {
	{"nothing",           nothing          },
	{"read-passwd",       read_passwd      },
	{"read-key",          read_key         },
	{"write-key",         write_key        },
	{"make-file",         make_file        },
	{"make-file-here",    make_file_here   },
	{"remove-file",       remove_file      },
	{"rename-file",       rename_file      },
	{"change-mode",       change_mode      },
	{"cut-file",          cut_file         },
	{"make-dir",          make_dir         },
	{"make-link",         make_link        },
	{"look-at-key",       look_at_key      },
	{"above-share",       above_share      },
	{"write-above-share", write_above_share},
	{"own-program",       own_program      },
	{"first-process",     first_process    },
	{"own-memory",        own_memory       },
	{"device",            device           },
	{"list-folder",       list_folder      },
	{"openat2",           open_at_2        },
	{"open-by-handle",    open_by_handle   },
	{"watch-files",       watch_files      },
	{"unix-socket",       host_socket      },
	{"abstract-socket",   abstract_socket  },
	{"tcp",               tcp              },
	{"udp",               udp              },
	{"listen",            listen_tcp       },
	{"netlink",           netlink          },
	{"raw-socket",        raw_socket       },
	{"packet-socket",     packet_socket    },
	{"vsock",             vsock            },
	{"ping-socket",       ping_socket      },
	{"other-family",      other_family     },
	{"datagram-pair",     datagram_pair    },
	{"name-socket",       name_socket      },
	{"kill",              kill_other       },
	{"kill-all",          kill_all         },
	{"tgkill",            tgkill_other     },
	{"sigqueue",          queue_signal     },
	{"pidfd",             pidfd            },
	{"ptrace",            trace            },
	{"ptrace-parent",     trace_parent     },
	{"read-memory",       read_memory      },
	{"prlimit",           limit_other      },
	{"setpriority",       slow_other       },
	{"setaffinity",       bind_other       },
	{"shm",               shared_memory    },
	{"bpf",               bpf_map          },
	{"keyctl",            keys             },
	{"userfaultfd",       fault_handler    },
	{"perf",              performance      },
	{"io-uring",          uring            },
	{"syslog",            kernel_log       },
	{"personality",       be_another_system},
	{"modify-ldt",        segments         },
	{"tiocsti",           terminal         },
	{"dumpable",          show_memory      },
	{"sigaction",         handle_signals   },
	{"setuid",            be_root          },
	{"setrlimit",         more_files       },
	{"code-page",         code_page        },
	{"data-to-code",      data_to_code     },
	{"code-file",         code_file        },
	{"fork",              new_process      },
	{"clone3",            clone_3          },
	{"clone-ns",          clone_ns         },
	{"user-ns",           new_user_ns      },
	{"mount-ns",          new_mount_ns     },
	{"setns",             enter_ns         },
	{"hostname",          host_name        },
	{"fsopen",            file_system      },
	{"open-tree",         open_a_tree      },
	{"mount",             mount_tmpfs      },
	{"bind-mount",        bind_mount       },
	{"remount",           remount_root     },
	{"chroot",            change_root      },
	{"exec",              run_program      },
	{"exec-shell",        run_shell        },
	{"exec-memory",       run_memory       },
};
const size_t nacts = sizeof(acts) / sizeof(acts[0]);

static const char *value_of(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? p + strlen(key) : "";
}

static void copy_value(char *to, size_t len, const char *p)
{
	size_t n = strcspn(p, ", ");

	if (n >= len)
		n = 0;
	memcpy(to, p, n);
	to[n] = '\0';
}

bool parse_targets(const char *text, struct targets *ret)
{
	copy_value(ret->dir, sizeof(ret->dir), value_of(text, "dir="));
	copy_value(ret->abstract, sizeof(ret->abstract),
	           value_of(text, "abstract="));
	return ret->dir[0] && ret->abstract[0] &&
	       sscanf(value_of(text, "tcp="), "%d", &ret->tcp_port) == 1 &&
	       sscanf(value_of(text, "udp="), "%d", &ret->udp_port) == 1 &&
	       sscanf(value_of(text, "pid="), "%d", &ret->pid) == 1;
}
