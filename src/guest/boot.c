#include "guest/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "guest/etc.h"
#include "guest/mount.h"
#include "guest/mounts.h"
#include "guest/net.h"
#include "guest/scripts.h"
#include "guest/system.h"
#include "guest/trust.h"

#include "base/banned.h"

#define FAILED_LINGER_MS 1000

static int begin_link(struct boot *b, struct err *err)
{
	return link_connect(b->link, err);
}

static int find_disks(struct boot *b, struct err *err)
{
	return disks_scan("/sys/block", &b->disks, err);
}

static int early(struct boot *b, struct err *err)
{
	(void)b;
	return mount_early(err);
}

static int greet(struct boot *b, struct err *err)
{
	struct proto_msg hello = {
		.type = PROTO_HELLO,
		.hello = {.version = PROTO_VERSION,
	                  .boot_ns = b->start_ns,
	                  .since_init_ns = clock_now_ns() - b->start_ns}
        };
	int r = link_send(b->link, &hello);

	if (r < 0)
		return err_set(err, r, "cannot greet the host: %s",
		               strerror(-r));
	r = link_receive(b->link, PROTO_BOOT, &b->config, err);
	if (r < 0)
		return r;
	if (b->config.boot.version != PROTO_VERSION)
		return err_set(err, -EPROTONOSUPPORT,
		               "the host speaks version %u of the protocol, "
		               "this agent version %u",
		               b->config.boot.version, PROTO_VERSION);
	return 0;
}

static int clock_and_entropy(struct boot *b, struct err *err)
{
	const struct proto_boot *c = &b->config.boot;
	int r = system_set_clock(c->unix_ns, err);

	if (r == 0)
		r = system_add_entropy(c->entropy.p, c->entropy.n, err);
	return r;
}

static int find_disk(struct boot *b, const char *what, const char *serial,
                     const char **ret, struct err *err)
{
	*ret = disks_find(&b->disks, serial);
	if (*ret)
		return 0;
	return err_set(err, -ENODEV,
	               "cannot find the %s: no disk with serial '%s' "
	               "(of %zu disks)",
	               what, serial, b->disks.n);
}

static int shares(struct boot *b, struct err *err)
{
	b->shares_fd = -1;
	if (!mounts_need_shares(&b->config.boot))
		return 0;
	return mounts_open_shares(&b->shares_fd, err);
}

static int root_image(struct boot *b, struct err *err)
{
	const struct proto_boot *c = &b->config.boot;
	const char *disk;
	int r;

	if (strcmp(c->root_type, "share") == 0)
		return mounts_bind_root(b->shares_fd, c->root_serial,
		                        MOUNT_LOWER, err);
	r = find_disk(b, "root image", c->root_serial, &disk, err);
	return r < 0 ? r : mount_image(disk, c->root_type, err);
}

static int upper(struct boot *b, struct err *err)
{
	const char *serial = b->config.boot.upper_serial, *disk = NULL;
	int r = 0;

	if (*serial)
		r = find_disk(b, "upper", serial, &disk, err);
	if (r == 0)
		r = mount_upper(disk, b->config.boot.upper_bytes, &b->upper_fd,
		                err);
	if (r < 0)
		return r;
	b->changes_fd = mount_upper_changes();
	if (b->changes_fd < 0)
		return err_set(err, b->changes_fd, "cannot open the upper: %s",
		               strerror(-b->changes_fd));
	return 0;
}

static int root(struct boot *b, struct err *err)
{
	(void)b;
	return mount_root(err);
}

static int kernel(struct boot *b, struct err *err)
{
	int r = mount_kernel(err);

	(void)b;
	return r < 0 ? r : mount_cgroup_enable(err);
}

static int mounts(struct boot *b, struct err *err)
{
	int r = mounts_provide(&b->config.boot.mounts, b->shares_fd, &b->disks,
	                       err);

	close_fd(&b->shares_fd); /* the mounts hold it */
	return r;
}

static int scripts(struct boot *b, struct err *err)
{
	const struct proto_boot *c = &b->config.boot;

	if (c->scripts.n == 0 && c->cas.n == 0)
		return 0;
	return scripts_provide(&c->scripts, &c->cas, err);
}

static int network(struct boot *b, struct err *err)
{
	const struct proto_boot *c = &b->config.boot;
	struct net_plan plan;
	int r = system_set_hostname(c->hostname, err);

	if (r == 0)
		r = system_loopback_up(err);
	if (r == 0)
		r = system_sysctls(err);
	if (r < 0 || c->net.n == 0)
		return r;
	r = net_parse(&c->net, &plan, err);
	return r < 0 ? r : net_up(NET_INTERFACE, &plan, err);
}

/* In /dev, which is the machine's own and no image's. */
#define SCRATCH "/dev/.msb"

static void files(struct boot *b)
{
	const struct proto_boot *c = &b->config.boot;
	cleanup_close int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (c->net.n || c->cas.n) {
		(void)mkdir(SCRATCH, 0700);
		etc_provide(root_fd, SCRATCH, c->hostname, &c->net, &c->cas,
		            c->init.n > 0, &b->trust_dev);
		(void)rmdir(SCRATCH);
	}
	system_files(c->hostname);
}

/* What no command's environment lacks. */
static char *const *defaults(const struct proto_boot *c)
{
	return c->cas.n ? trust_variables() : NULL;
}

static void watch_trust(struct boot *b)
{
	int root_fd;

	if (!b->config.boot.cas.n)
		return;
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd >= 0)
		trust_watch_start(&b->trust, b->loop, root_fd, SCRATCH,
		                  &b->config.boot.cas, b->trust_dev);
}

/* From here on this process is the agent, and may have another one as PID 1. */
static int leave(struct boot *b, struct err *err)
{
	const struct proto_boot *c = &b->config.boot;
	int r;

	if (c->init.n == 0)
		return 0;
	files(b); /* the init reads them */
	r = handoff_fork(b->handoff, &c->init, &c->init_env, defaults(c), err);
	return r < 0 ? r : handoff_settle(b->argv0, err);
}

static int agent(struct boot *b, struct err *err)
{
	int r = server_init(b->server, b->loop, b->changed, b->arg);

	if (r < 0)
		return err_set(err, r, "cannot watch processes: %s",
		               strerror(-r));
	b->server->env.child.spared = b->handoff->active;
	b->server->env.child.defaults = defaults(&b->config.boot);
	b->server->env.upper_fd = b->changes_fd;
	r = system_limits(err);
	return r < 0 ? r : server_listen(b->server, err);
}

static int init(struct boot *b, struct err *err)
{
	return b->handoff->active ? handoff_start(b->handoff, err) : 0;
}

/*
 * The one list. The connection comes first because the host answers while we
 * work; the stages in between need no word from it.
 */
static const struct stage {
	const char *name;
	int (*fn)(struct boot *b, struct err *err);
} stages[] = {
	{"vsock",      begin_link       },
	{"devices",    early            },
	{"disks",      find_disks       },
	{"host",       greet            },
	{"clock",      clock_and_entropy},
	{"shares",     shares           },
	{"root disk",  root_image       },
	{"upper disk", upper            },
	{"overlay",    root             },
	{"mounts",     kernel           },
	{"volumes",    mounts           },
	{"scripts",    scripts          },
	{"network",    network          },
	{"init",       leave            },
	{"agent",      agent            },
	{"init",       init             },
};

/* @err is the reason. It goes to the host, and to the console in any case. */
static void report(struct boot *b, const char *stage, const struct err *err)
{
	struct proto_msg msg = {
		.type = PROTO_FAILED,
		.failed = {.stage = stage,
	                   .error = -err->code,
	                   .message = err->msg}
        };

	log_error("boot failed at stage %s: %s", stage, err->msg);
	if (link_send(b->link, &msg) == 0)
		link_linger(b->link, FAILED_LINGER_MS);
}

static int ready(struct boot *b)
{
	struct proto_msg msg = {
		.type = PROTO_READY,
		.ready = {.since_init_ns = clock_now_ns() - b->start_ns,
	                  .agent_version = MSB_VERSION}
        };

	return link_send(b->link, &msg);
}

int boot_run(struct boot *b)
{
	struct err err = {0};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		r = stages[i].fn(b, &err);
		if (r < 0) {
			report(b, stages[i].name, &err);
			return r;
		}
	}
	r = ready(b);
	if (r < 0) {
		log_error("cannot tell the host: %s", strerror(-r));
		return r;
	}
	/* Before the first command, while the host is busy with READY. */
	if (!b->handoff->active)
		files(b);
	watch_trust(b);
	return 0;
}
