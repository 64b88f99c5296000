#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "fs/fs.h"
#include "net/net.h"
#include "virtio/balloon.h"
#include "virtio/console.h"
#include "virtio/fs.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/disk_dev.h"
#include "vmm/jail.h"

#define PORT_ECHO 1234
#define SECTOR    512u

struct unit_kind {
	const char *name;
	uint32_t virtio_id;
	int jail; /* as its thread in msb-vmm; -1: in the main loop */
	int (*make)(struct host *h, struct unit *u, struct err *err);
};

/* ---- disks ---- */

static int pattern_file(void)
{
	static uint8_t data[DISK_SECTORS * SECTOR];
	int fd = memfd_create("disk", MFD_CLOEXEC);

	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / SECTOR);
	if (fd < 0 || fd_write_full(fd, data, sizeof(data)) < 0)
		host_die("disk", strerror(errno));
	return fd;
}

static int make_disk(struct host *h, struct unit *u, struct err *err)
{
	const bool first = u == &h->units[0] || !h->units[0].dev ||
	                   h->units[0].kind != u->kind;
	const struct disk_extent whole = {u->disk = pattern_file(), 0,
	                                  DISK_SECTORS * SECTOR};

	return disk_dev_new(
		&(struct disk_dev_config){.extents = &whole,
	                                  .nextents = 1,
	                                  .read_only = first,
	                                  .serial = first ? "root" : "upper"},
		&u->dev, err);
}

/* The guest wrote i ^ 0x5a to [off, off + len) of the last disk. */
static void verify(struct host *h, uint64_t off, uint64_t len)
{
	uint8_t data[4096];
	uint32_t wrong = 0;
	int fd = -1;

	for (size_t i = 0; i < h->n; i++)
		if (h->units[i].disk >= 0)
			fd = h->units[i].disk;
	if (len > sizeof(data) ||
	    fd_pread_full(fd, data, len, off) != (ssize_t)len)
		host_die("verify", "out of the file");
	for (uint32_t i = 0; i < len; i++)
		wrong += data[i] != (uint8_t)(i ^ 0x5a);
	host_check(wrong == 0, "%u wrong bytes in the file", wrong);
}

/* ---- entropy, balloon ---- */

static int make_rng(struct host *h, struct unit *u, struct err *err)
{
	(void)h;
	return rng_new(&u->dev, err);
}

static int make_balloon(struct host *h, struct unit *u, struct err *err)
{
	(void)h;
	return balloon_new(u->loop, &u->dev, err);
}

/* ---- files ---- */

static int serve(void *arg, struct iov *out, struct iov *in, uint32_t *ret_len)
{
	return fs_request(arg, out, in, ret_len);
}

static void forget(void *arg)
{
	fs_reset(arg);
}

/* A folder with one file, which goes with this process's end. */
static int share_folder(void)
{
	static const char text[] = "hello from the host";
	char path[] = "/tmp/msb-kvm-XXXXXX";
	int dir, fd;

	if (!mkdtemp(path))
		host_die("folder", strerror(errno));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir, "hello", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || fd_write_full(fd, text, sizeof(text) - 1) < 0)
		host_die("folder", strerror(errno));
	(void)close(fd);
	return dir;
}

static int make_fs(struct host *h, struct unit *u, struct err *err)
{
	struct fs_share share = {
		.name = "s0", .fd = share_folder(), .usage_fd = -1};
	const struct fs_config cfg = {
		.shares = &share,
		.nshares = 1,
		.proc_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC)};
	struct fs *fs;
	int r = fs_new(&cfg, &fs, err);

	(void)h;
	u->disk = share.fd;
	return r < 0 ? r
	             : virtio_fs_new(
			       VIRTIO_FS_TAG,
			       &(struct virtio_fs_backend){serve, forget, fs},
			       &u->dev, err);
}

/* ---- the network: the product's stack, to whom all is allowed ---- */

static struct net *net;

static int net_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                    unsigned n, size_t len)
{
	const struct unit *u = arg;

	return virtio_net_send(u->dev, h, v, n, len);
}

static void net_flush(void *arg)
{
	const struct unit *u = arg;

	virtio_net_flush(u->dev);
}

static void net_resume(void *arg)
{
	const struct unit *u = arg;

	virtio_net_resume(u->dev);
}

static void took(void *arg, bool csum, bool tso4, bool tso6)
{
	(void)arg;
	net_features(net, csum, tso4, tso6);
}

static bool wants(void *arg)
{
	(void)arg;
	return net_wants(net);
}

static void frame(void *arg, const struct vnet_hdr *h, struct iov *f)
{
	(void)arg;
	net_input(net, h, f);
}

static void batch_end(void *arg)
{
	(void)arg;
	net_batch_end(net);
}

static void writable(void *arg)
{
	(void)arg;
	net_writable(net);
}

static void net_gone(void *arg)
{
	(void)arg;
	net_reset(net);
}

static int make_net(struct host *h, struct unit *u, struct err *err)
{
	static const struct virtio_net_backend be = {
		took, wants, frame, batch_end, writable, net_gone, NULL};
	const struct net_link link = {.send = net_send,
	                              .flush = net_flush,
	                              .resume = net_resume,
	                              .arg = u};
	struct net_config cfg = {
		.guest_mac = {2, 0, 0, 0, 0, 2},
		.gateway_mac = {2, 0, 0, 0, 0, 1},
		.mtu = NET_MTU_DEFAULT,
		.guest4 = addr_v4(0xac100002),
		.gateway4 = addr_v4(0xac100001),
		.pcap_fd = -1
        };
	struct policy *policy;
	int r = policy_new(&(struct policy_spec){.profile = "all"}, &policy,
	                   err);

	(void)h;
	(void)addr_parse("fd42::2", &cfg.guest6);
	(void)addr_parse("fd42::1", &cfg.gateway6);
	cfg.policy = policy;
	if (r == 0)
		r = net_new(&cfg, u->loop, &link, &net, err);
	return r < 0 ? r
	             : virtio_net_new(cfg.guest_mac, cfg.mtu, &be, &u->dev,
	                              err);
}

static struct unit *unit_of(struct host *h, uint32_t id)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->slots[i].virtio_id == id)
			return &h->units[i];
	host_die("device", "the guest speaks of one that it has not");
}

/* What the guest made, and the folder's end. */
static void look_at(struct host *h, const char *name)
{
	int dir = unit_of(h, VIRTIO_ID_FS)->disk;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[64] = {0}, path[64], folder[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	host_check(n == 14 && !strcmp(text, "from the guest"),
	           "the guest made \"%s\"", text);
	(void)close(fd);
	(void)unlinkat(dir, name, 0);
	(void)unlinkat(dir, "hello", 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	n = readlink(path, folder, sizeof(folder) - 1);
	if (n > 0) {
		folder[n] = '\0';
		(void)rmdir(folder);
	}
}

static void inflate(struct host *h, uint64_t bytes)
{
	int r = balloon_set_target(unit_of(h, VIRTIO_ID_BALLOON)->dev, bytes);

	host_check(r == 0, "target of the balloon is %llu",
	           (unsigned long long)bytes);
}

static uint64_t stat_of(struct host *h, const char *name)
{
	struct balloon_stats s;

	balloon_get_stats(unit_of(h, VIRTIO_ID_BALLOON)->dev, &s);
	if (!strcmp(name, "inflated"))
		return s.inflated;
	if (!strcmp(name, "reported"))
		return s.reported;
	if (!strcmp(name, "free"))
		return s.free;
	return s.available;
}

static void expect(struct host *h, const char *name, uint64_t want)
{
	uint64_t got = stat_of(h, name);

	for (int i = 0; i < 2000 && got != want; i++) {
		usleep(10000);
		got = stat_of(h, name);
	}
	host_check(got == want, "balloon: %s is %llu, wanted %llu", name,
	           (unsigned long long)got, (unsigned long long)want);
}

/* ---- vsock ---- */

static void *echo(void *arg)
{
	static __thread char data[65536];
	int s = (int)(intptr_t)arg;
	ssize_t n;

	while ((n = read(s, data, sizeof(data))) > 0)
		if (fd_write_full(s, data, (size_t)n) < 0)
			break;
	close(s);
	return NULL;
}

static void start_thread(void *(*run)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, run, arg) || pthread_detach(t))
		host_die("thread", strerror(errno));
}

static int accept_echo(void *arg)
{
	int sp[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		return -errno;
	start_thread(echo, (void *)(intptr_t)sp[0]);
	return sp[1];
}

static int make_vsock(struct host *h, struct unit *u, struct err *err)
{
	int r = vsock_new(u->loop, 3, &u->dev, err);

	(void)h;
	return r < 0 ? r : vsock_listen(u->dev, PORT_ECHO, accept_echo, NULL);
}

static void *talk(void *arg)
{
	char answer[64] = "";
	int s = (int)(intptr_t)arg;
	ssize_t n;

	if (fd_write_full(s, "hello guest", 11) < 0)
		host_die("vsock", strerror(errno));
	n = fd_read_full(s, answer, 10);
	host_check(n == 10 && !strcmp(answer, "hello host"),
	           "the guest answered \"%s\"", answer);
	close(s);
	return NULL;
}

static void call(struct host *h, uint32_t port)
{
	int sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		host_die("socketpair", strerror(errno));
	start_thread(talk, (void *)(intptr_t)sp[0]);
	if (vsock_connect(unit_of(h, VIRTIO_ID_VSOCK)->dev, port, sp[1]) < 0)
		host_die("vsock_connect", strerror(errno));
}

/* ---- console ---- */

static void note(struct host *h, const char *data, size_t n)
{
	const size_t max = sizeof(h->last) - 1;

	pthread_mutex_lock(&h->lock);
	if (h->seen_bytes < sizeof(h->seen) - 1)
		memcpy(h->seen + h->seen_bytes, data,
		       MIN(n, sizeof(h->seen) - 1 - h->seen_bytes));
	h->seen_bytes += n;
	for (size_t i = n > max ? n - max : 0; i < n; i++) {
		memmove(h->last, h->last + 1, max - 1);
		h->last[max - 1] = data[i];
	}
	pthread_mutex_unlock(&h->lock);
}

static void *read_console(void *arg)
{
	static char data[16384];
	struct host *h = arg;
	ssize_t n;

	if (h->slow_console)
		usleep(300000);
	while ((n = read(h->console[1], data, sizeof(data))) > 0)
		note(h, data, (size_t)n);
	return NULL;
}

static int make_console(struct host *h, struct unit *u, struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, h->console) < 0)
		host_die("socketpair", strerror(errno));
	memset(h->last, ' ', sizeof(h->last) - 1);
	start_thread(read_console, h);
	return virtio_console_new(u->loop, h->console[0], &u->dev, err);
}

static void type(struct host *h)
{
	static const char line[] = "a line from the host\n";

	if (fd_write_full(h->console[1], line, sizeof(line) - 1) < 0)
		host_die("console", strerror(errno));
}

static void report_line(const char *what, char *text)
{
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = '|';
	host_say("host: console %s %s", what, text);
}

void host_report(struct host *h)
{
	if (h->console[1] < 0)
		return;
	usleep(50000); /* the last bytes are on their way to the reader */
	pthread_mutex_lock(&h->lock);
	host_say("host: console bytes %llu", (unsigned long long)h->seen_bytes);
	report_line("begins", h->seen);
	report_line("ends", h->last);
	pthread_mutex_unlock(&h->lock);
}

/* ---- all of them ---- */

static const struct unit_kind kinds[] = {
	{"rng",     VIRTIO_ID_RNG,     JAIL_SMALL, make_rng    },
	{"disk",    VIRTIO_ID_BLOCK,   JAIL_BLOCK, make_disk   },
	{"vsock",   VIRTIO_ID_VSOCK,   -1,         make_vsock  },
	{"console", VIRTIO_ID_CONSOLE, -1,         make_console},
	{"balloon", VIRTIO_ID_BALLOON, JAIL_SMALL, make_balloon},
	{"fs",      VIRTIO_ID_FS,      JAIL_FS,    make_fs     },
	{"net",     VIRTIO_ID_NET,     JAIL_NET,   make_net    },
};

static void plan_one(struct host *h, const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct unit_kind *k = &kinds[i];

		if (strlen(k->name) != len || memcmp(k->name, name, len))
			continue;
		h->units[h->n] = (struct unit){.kind = k, .disk = -1};
		h->slots[h->n] = (struct engine_slot){k->name, k->virtio_id};
		h->n++;
		return;
	}
	host_die("device", name);
}

void host_plan(struct host *h, const char *devices)
{
	pthread_mutex_init(&h->lock, NULL);
	h->console[0] = h->console[1] = -1;
	for (const char *s = devices; s && *s;) {
		size_t len = strcspn(s, " ");

		plan_one(h, s, len);
		s += len + (s[len] == ' ');
	}
}

static void *run_unit(void *arg)
{
	struct unit *u = arg;

	if (jail_thread((unsigned)u->kind->jail) < 0)
		host_die("jail", u->kind->name);
	(void)loop_run(u->loop);
	return NULL;
}

void host_attach(struct host *h, struct engine *e, struct loop *main_loop)
{
	for (size_t i = 0; i < h->n; i++) {
		struct unit *u = &h->units[i];
		const bool threaded = u->kind->jail >= 0;
		struct err err = {0};

		u->loop = threaded ? loop_new() : main_loop;
		if (!u->loop)
			host_die("loop", strerror(errno));
		if (u->kind->make(h, u, &err) < 0 ||
		    engine_kvm.attach(e, i, u->dev, u->loop, &err) < 0)
			host_die(u->kind->name, err.msg);
		if (threaded && pthread_create(&u->thread, NULL, run_unit, u))
			host_die("thread", strerror(errno));
	}
}

bool host_please(struct host *h, const char *words)
{
	unsigned long long a, b;
	char name[16];

	if (sscanf(words, "verify %llu %llu", &a, &b) == 2)
		verify(h, a, b);
	else if (sscanf(words, "inflate %llu", &a) == 1)
		inflate(h, a);
	else if (sscanf(words, "expect %15s %llu", name, &a) == 2)
		expect(h, name, a);
	else if (sscanf(words, "call %llu", &a) == 1)
		call(h, (uint32_t)a);
	else if (sscanf(words, "look at %15s", name) == 1)
		look_at(h, name);
	else if (!strcmp(words, "type"))
		type(h);
	else
		return false;
	return true;
}
