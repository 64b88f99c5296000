/*
 * Theory
 *
 * The jail has no way to a path of the host, and connect() has no variant with
 * a folder's descriptor. So the folder of each route's socket came as a
 * descriptor, which jail_enter() made a mount that hangs nowhere: nothing is
 * above it, links are not followed, and nobody writes to it. A thread of our
 * own makes that its current folder and connects to the bare name in it; the
 * network namespace does not matter, as a Unix socket with a path is found by
 * its inode. What listens there may be another process each time.
 *
 * The thread is there because a lookup can wait for a file server that is gone,
 * which must not stop the main thread; and because nobody else may then make
 * Unix sockets (jail_rules.c). A current folder belongs to a process: the
 * thread first takes one of its own.
 *
 *	vsock --ask--> main --job--> this thread: fchdir, socket, connect
 *	      <------------ main <--job--
 */
#include "vmm/hostsock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/vsock.h"
#include "vmm/jail.h"

#include "base/banned.h"

#define THREAD_STACK (128u * 1024)

/* Whose queue is full gets this long; Linux in the guest waits 2 s. */
#define AGAIN_NS  (20 * NS_PER_MS)
#define TRIES_MAX 100

struct route {
	struct hostsock *h;
	const struct vmm_vsock *cfg;
};

struct hostsock {
	struct loop *main, *loop;
	struct virtio_dev *vsock;
	struct route route[VMM_VSOCK_MAX];
};

/* One connection that the guest waits for. */
struct job {
	struct route *route;
	uint64_t id;
	int fd; /* or a negative errno */
	unsigned tries;
	struct loop_timer again;
};

/* ---- in the thread ------------------------------------------------------- */

static int connect_to(const struct vmm_vsock *to)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	cleanup_close int fd = -1;

	_Static_assert(sizeof(to->name) <= sizeof(sa.sun_path),
	               "a name that does not fit");
	memcpy(sa.sun_path, to->name, sizeof(to->name));
	if (fchdir(to->dir_fd) < 0)
		return -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return take_fd(fd);
}

static void answer(void *arg);

/* Without memory for it the guest hears nothing, and gives up by itself. */
static void send_back(struct job *j)
{
	if (loop_post(j->route->h->main, answer, j) == 0)
		return;
	if (j->fd >= 0)
		(void)close(j->fd);
	free(j);
}

static void try(void *arg)
{
	struct job *j = arg;
	struct hostsock *h = j->route->h;

	j->fd = connect_to(j->route->cfg);
	if (j->fd == -EAGAIN && ++j->tries < TRIES_MAX) {
		loop_timer_set(h->loop, &j->again, clock_now_ns() + AGAIN_NS,
		               try, j);
		return;
	}
	if (j->fd < 0)
		log_limited(LOG_WARN, "vsock port %u: socket %s: %s",
		            j->route->cfg->port, j->route->cfg->name,
		            strerror(-j->fd));
	send_back(j);
}

static void *thread_main(void *arg)
{
	struct hostsock *h = arg;
	int r;

	(void)pthread_setname_np(pthread_self(), "hostsock");
	if (unshare(CLONE_FS) < 0) {
		log_error("host sockets: no current folder: %s",
		          strerror(errno));
		return NULL;
	}
	if (jail_thread(JAIL_SOCKETS) < 0)
		return NULL; /* the guest's connections get no answer */
	r = loop_run(h->loop);
	if (r < 0)
		log_error("host sockets: the loop failed: %s", strerror(-r));
	return NULL;
}

/* ---- in the main thread -------------------------------------------------- */

static void answer(void *arg)
{
	struct job *j = arg;

	vsock_answer(j->route->h->vsock, j->id, j->fd);
	free(j);
}

static int on_ask(void *arg, uint64_t id)
{
	struct route *route = arg;
	struct job *j = calloc(1, sizeof(*j));
	int r = -ENOMEM;

	if (!j)
		return r;
	j->route = route;
	j->id = id;
	r = loop_post(route->h->loop, try, j);
	if (r < 0)
		free(j);
	return r;
}

static int start_thread(struct hostsock *h)
{
	pthread_attr_t attr;
	pthread_t thread; /* never joined, as a device's */
	int e = pthread_attr_init(&attr);

	if (e)
		return -e;
	(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	e = pthread_create(&thread, &attr, thread_main, h);
	(void)pthread_attr_destroy(&attr);
	return -e;
}

static int listen_for(struct hostsock *h, size_t i, const struct vmm_vsock *to,
                      struct err *err)
{
	int r;

	if (to->dgram)
		return err_set(err, -EOPNOTSUPP,
		               "vsock port %u: the guest's kernel has no "
		               "datagrams there",
		               to->port);
	h->route[i] = (struct route){h, to};
	r = vsock_listen_later(h->vsock, to->port, HOSTSOCK_PEERS_MAX, on_ask,
	                       &h->route[i]);
	if (r < 0)
		return err_set(err, r, "vsock port %u cannot be had: %s",
		               to->port, strerror(-r));
	return 0;
}

int hostsock_start(const struct vmm_vsock_list *routes, struct loop *l,
                   struct virtio_dev *vsock, struct err *err)
{
	struct hostsock *h;
	int r = 0;

	if (!routes->n)
		return 0;
	h = calloc(1, sizeof(*h)); /* the machine's, to its end */
	if (h)
		h->loop = loop_new();
	if (!h || !h->loop) {
		free(h);
		return err_set(err, -ENOMEM, "no memory for host sockets");
	}
	h->main = l;
	h->vsock = vsock;
	for (size_t i = 0; i < routes->n && r == 0; i++)
		r = listen_for(h, i, &routes->v[i], err);
	if (r < 0)
		return r;
	r = start_thread(h);
	if (r < 0)
		return err_set(err, r, "cannot start a thread: %s",
		               strerror(-r));
	return 0;
}
