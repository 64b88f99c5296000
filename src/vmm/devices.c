#include "vmm/devices.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "fs/xattr.h"
#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/fs.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/disk_dev.h"

#include "base/banned.h"

/* The guest's address; each machine has its own vsock, so all have the same. */
#define GUEST_CID 3

/* A model's calls are shallow; its requests are in its own struct. */
#define THREAD_STACK (256u * 1024)

/* A disk's tables are written in less, but for a host that hangs. */
#define SETTLE_S 10

struct device_class {
	const char *name; /* a disk's serial, too */
	uint32_t virtio_id;
	bool threaded;
	enum jail_thread_kind kind; /* what its thread may do */
	bool ours_only;             /* QEMU brings its own */
	bool (*wanted)(const struct vmm_config *cfg, const char *name);
	int (*make)(struct devices *d, struct device *dev, struct err *err);
};

static bool always(const struct vmm_config *cfg, const char *name)
{
	(void)cfg;
	(void)name;
	return true;
}

static bool has_disk(const struct vmm_config *cfg, const char *name)
{
	return config_disk(cfg, name) != NULL;
}

static int make_disk(struct devices *d, struct device *dev, struct err *err)
{
	const struct vmm_disk *disk = config_disk(d->cfg, dev->class->name);

	return disk_dev_new(
		&(struct disk_dev_config){.extents = disk->extents,
	                                  .nextents = disk->nextents,
	                                  .read_only = disk->read_only,
	                                  .serial = disk->serial,
	                                  .layers = disk->layers,
	                                  .nlayers = disk->nlayers},
		&dev->model, err);
}

static bool has_shares(const struct vmm_config *cfg, const char *name)
{
	(void)name;
	return cfg->nshares > 0;
}

static int fs_serve(void *arg, struct iov *out, struct iov *in,
                    uint32_t *ret_len)
{
	return fs_request(arg, out, in, ret_len);
}

static void fs_forget(void *arg)
{
	fs_reset(arg);
}

static int make_fs(struct devices *d, struct device *dev, struct err *err)
{
	struct fs_share shares[VMM_SHARES_MAX];
	const struct fs_config cfg = {.shares = shares,
	                              .nshares = d->cfg->nshares,
	                              .proc_fd = jail_proc_fd()};
	struct fs *fs;
	int r;

	/* What the user who runs msb is called in our namespace. */
	memcpy(shares, d->cfg->shares, sizeof(shares));
	for (size_t i = 0; i < cfg.nshares; i++) {
		shares[i].owners.host_uid = geteuid();
		shares[i].owners.host_gid = getegid();
	}
	xattr_calls(true, true); /* nobody here needs a current folder */
	r = fs_new(&cfg, &fs, err);
	if (r < 0)
		return r;
	return virtio_fs_new(
		VIRTIO_FS_TAG,
		&(struct virtio_fs_backend){fs_serve, fs_forget, fs},
		&dev->model, err);
}

static int make_vsock(struct devices *d, struct device *dev, struct err *err)
{
	int r = vsock_new(dev->loop, GUEST_CID, &dev->model, err);

	if (r == 0)
		d->vsock = dev->model;
	return r;
}

static int make_rng(struct devices *d, struct device *dev, struct err *err)
{
	(void)d;
	return rng_new(&dev->model, err);
}

static bool has_net(const struct vmm_config *cfg, const char *name)
{
	(void)name;
	return cfg->net.on;
}

static int make_net(struct devices *d, struct device *dev, struct err *err)
{
	return net_dev_model(d->net, &dev->model, err);
}

/* What the guest says there joins what it said at the serial port. */
static int make_console(struct devices *d, struct device *dev, struct err *err)
{
	return virtio_console_new(dev->loop, d->console_fd, &dev->model, err);
}

static int make_balloon(struct devices *d, struct device *dev, struct err *err)
{
	(void)d;
	return balloon_new(dev->loop, &dev->model, err);
}

/*
 * Every device that a machine can have, in the order in which the engine gets
 * them. New lines go last. A new device is virtio/NAME.[ch], one line here, a
 * line in qemu_argv.c, a unit test and a fuzz target.
 */
static const struct device_class classes[] = {
	{"root",    VIRTIO_ID_BLOCK,   true,  JAIL_BLOCK, false, has_disk,   make_disk },
	{"upper",   VIRTIO_ID_BLOCK,   true,  JAIL_BLOCK, false, has_disk,
         make_disk								     },
	{"vsock",   VIRTIO_ID_VSOCK,   false, JAIL_MAIN,  false, always,     make_vsock},
	{"rng",     VIRTIO_ID_RNG,     true,  JAIL_SMALL, false, always,     make_rng  },
	{"fs",      VIRTIO_ID_FS,      true,  JAIL_FS,    false, has_shares, make_fs   },
	{"disk0",   VIRTIO_ID_BLOCK,   true,  JAIL_BLOCK, false, has_disk,
         make_disk								     },
	{"disk1",   VIRTIO_ID_BLOCK,   true,  JAIL_BLOCK, false, has_disk,
         make_disk								     },
	{"disk2",   VIRTIO_ID_BLOCK,   true,  JAIL_BLOCK, false, has_disk,
         make_disk								     },
	{"disk3",   VIRTIO_ID_BLOCK,   true,  JAIL_BLOCK, false, has_disk,
         make_disk								     },
	{"net",     VIRTIO_ID_NET,     true,  JAIL_NET,   false, has_net,    make_net  },
	{"console", VIRTIO_ID_CONSOLE, false, JAIL_MAIN,  true,  always,
         make_console								  },
	{"balloon", VIRTIO_ID_BALLOON, true,  JAIL_SMALL, true,  always,
         make_balloon								  },
};

static void leave_out(struct devices *d, size_t i)
{
	d->n--;
	for (; i < d->n; i++) {
		d->list[i] = d->list[i + 1];
		d->slots[i] = d->slots[i + 1];
	}
}

/*
 * What a machine can do without when the engine has too few slots, in this
 * order: rng, as BOOT brings entropy and processors have their own source; the
 * balloon, without which memory comes back when the machine ends. QEMU's
 * microvm has 8 slots; root, upper, vsock, net, fs leave 3 for disks.
 */
static const char *const spare[] = {"rng", "balloon"};

/* Slots in use: the list, and what the engine brings itself. */
static size_t slots_used(const struct devices *d, const struct engine_ops *ops)
{
	return d->n + (ops->own_console && !d->no_balloon);
}

static int make_room(struct devices *d, const struct engine_ops *ops,
                     struct err *err)
{
	for (size_t k = 0; k < ARRAY_SIZE(spare); k++) {
		size_t i = 0;

		if (slots_used(d, ops) <= ops->slots_max)
			return 0;
		while (i < d->n &&
		       strcmp(d->list[i].class->name, spare[k]) != 0)
			i++;
		if (i < d->n)
			leave_out(d, i);
		else if (strcmp(spare[k], "balloon") == 0)
			d->no_balloon = true;
	}
	if (slots_used(d, ops) <= ops->slots_max)
		return 0;
	(void)err_set(err, -E2BIG,
	              "the machine would have %zu virtio devices, the %s "
	              "engine takes %u",
	              slots_used(d, ops), ops->name, ops->slots_max);
	err_hint(err, "use fewer disks, the kvm engine, or no interface "
	              "(network: {enabled: false} in a file)");
	return -E2BIG;
}

int devices_plan(struct devices *d, const struct vmm_config *cfg,
                 const struct engine_ops *ops, struct loop *main_loop,
                 int console_fd, struct err *err)
{
	*d = (struct devices){
		.cfg = cfg, .main_loop = main_loop, .console_fd = console_fd};
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		const struct device_class *class = &classes[i];

		if (!class->wanted(cfg, class->name) ||
		    (class->ours_only && ops->own_console))
			continue;
		d->list[d->n].class = class;
		d->slots[d->n] =
			(struct engine_slot){class->name, class->virtio_id};
		d->n++;
	}
	return make_room(d, ops, err);
}

static void *thread_main(void *arg)
{
	struct device *dev = arg;
	int r;

	(void)pthread_setname_np(pthread_self(), dev->class->name);
	if (jail_thread(dev->class->kind) < 0)
		return NULL; /* a device that does not answer */
	r = loop_run(dev->loop);
	if (r < 0)
		log_error("device %s: its loop failed: %s", dev->class->name,
		          strerror(-r));
	return NULL;
}

static int start_thread(struct device *dev, struct err *err)
{
	pthread_attr_t attr;
	int e = pthread_attr_init(&attr);

	if (e == 0) {
		(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
		e = pthread_create(&dev->thread, &attr, thread_main, dev);
		(void)pthread_attr_destroy(&attr);
	}
	if (e)
		return err_set(err, -e, "cannot start a thread: %s",
		               strerror(e));
	return 0;
}

/* Its thread and loop were there before the others': jail_needs. */
static bool is_net(const struct device *dev)
{
	return dev->class->kind == JAIL_NET;
}

static int start_one(struct devices *d, size_t i, const struct engine_ops *ops,
                     struct engine *e, struct err *err)
{
	struct device *dev = &d->list[i];
	int r;

	dev->loop = is_net(dev)            ? net_dev_loop(d->net)
	            : dev->class->threaded ? loop_new()
	                                   : d->main_loop;
	if (!dev->loop)
		return err_set(err, -errno, "cannot make a loop: %s",
		               strerror(errno));
	r = dev->class->make(d, dev, err);
	if (r == 0)
		r = ops->attach(e, i, dev->model, dev->loop, err);
	if (r == 0 && is_net(dev))
		net_dev_go(d->net);
	else if (r == 0 && dev->class->threaded)
		r = start_thread(dev, err);
	dev->running = r == 0 && dev->class->threaded;
	return r;
}

int devices_start(struct devices *d, const struct engine_ops *ops,
                  struct engine *e, struct err *err)
{
	for (size_t i = 0; i < d->n; i++) {
		int r = start_one(d, i, ops, e, err);

		if (r < 0)
			return err_wrap(err, "device %s",
			                d->list[i].class->name);
	}
	return 0;
}

/* One disk's last job, in its thread. */
struct settling {
	struct device *dev;
	sem_t done;
};

static void settle_one(void *arg)
{
	struct settling *s = arg;
	int r = blk_settle(s->dev->model);

	if (r < 0)
		log_error("disk %s: cannot write its tables: %s",
		          s->dev->class->name, strerror(-r));
	(void)sem_post(&s->done);
}

void devices_settle(struct devices *d)
{
	/* Not freed when a thread is late: it may still use it. */
	static struct settling jobs[ENGINE_DEVICES_MAX];
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SETTLE_S;
	for (size_t i = 0; i < d->n; i++) {
		struct device *dev = &d->list[i];
		const struct vmm_disk *disk =
			config_disk(d->cfg, dev->class->name);

		if (!disk || disk->read_only || !disk->nlayers || !dev->running)
			continue;
		jobs[i].dev = dev;
		if (sem_init(&jobs[i].done, 0, 0) < 0 ||
		    loop_post(dev->loop, settle_one, &jobs[i]) < 0)
			continue;
		while (sem_clockwait(&jobs[i].done, CLOCK_MONOTONIC, &until) <
		       0) {
			if (errno == EINTR)
				continue;
			log_error("disk %s: its tables are not written",
			          dev->class->name);
			dev->running = false;
			break;
		}
	}
}

struct virtio_dev *devices_find(const struct devices *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->list[i].class->name, name) == 0)
			return d->list[i].model;
	return NULL;
}
