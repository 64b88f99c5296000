#include "guest/trust_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define QUIET_MS    1000
#define WRITTEN_S   30   /* not written to for that long: given up */
#define ENTRIES_MAX 4096 /* of a folder that are looked at */
#define EVENTS      (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

/* Of the bundles. The first is made: packages put the bundle there. */
static const char *const folders[] = {
	"/etc/ssl/certs",           "/etc/ssl",
	"/etc/pki/tls/certs",       "/etc/pki/ca-trust/extracted/pem",
	"/var/lib/ca-certificates",
};

static void cover_again(struct trust_watch *w)
{
	struct cover c = {
		.root_fd = w->root_fd, .scratch = w->scratch, .tmpfs_fd = -1};
	struct proto_bytes cas = {w->cas.data, (uint32_t)w->cas.len};
	int r;

	(void)mkdir(w->scratch, 0700);
	r = cover_begin(&c, TRUST_TMPFS);
	if (r < 0) {
		log_warn("cannot mount a tmpfs for certificates: %s",
		         strerror(-r));
	} else {
		trust_uncover(w->root_fd, w->dev, true);
		trust_bundles(&c, &cas);
		w->dev = c.dev;
	}
	cover_end(&c);
	(void)rmdir(w->scratch);
}

/* Begins as a bundle, and goes on: as .new, or with mktemp's letters. */
static bool is_draft(const char *name)
{
	static const char *const bundles[] = {"ca-certificates.crt", "cert.pem",
	                                      "ca-bundle.crt", "ca-bundle.pem",
	                                      "tls-ca-bundle.pem"};

	for (size_t i = 0; i < ARRAY_SIZE(bundles); i++) {
		size_t len = strlen(bundles[i]);

		if (strncmp(name, bundles[i], len) == 0 && name[len])
			return true;
	}
	return false;
}

static bool is_fresh(int dir_fd, const char *name)
{
	struct timespec now;
	struct stat st;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.tv_sec - st.st_mtime < WRITTEN_S;
}

static bool has_draft(int root_fd, const char *folder)
{
	int fd = cover_folder(root_fd, folder);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool found = false;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	for (int i = 0; i < ENTRIES_MAX && !found && (e = readdir(d)); i++)
		found = is_draft(e->d_name) && is_fresh(fd, e->d_name);
	(void)closedir(d);
	return found;
}

static void wait_for_quiet(struct trust_watch *w);

static void on_quiet(void *arg)
{
	struct trust_watch *w = arg;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (has_draft(w->root_fd, folders[i])) {
			wait_for_quiet(w);
			return;
		}
	cover_again(w);
}

static void wait_for_quiet(struct trust_watch *w)
{
	loop_timer_set(w->loop, &w->timer,
	               clock_now_ns() + QUIET_MS * NS_PER_MS, on_quiet, w);
}

static void on_events(void *arg, uint32_t events)
{
	struct trust_watch *w = arg;
	char data[4096];

	(void)events;
	while (read(w->fd, data, sizeof(data)) > 0)
		; /* which of them it was does not matter */
	trust_uncover(w->root_fd, w->dev, false);
	wait_for_quiet(w);
}

void trust_watch_start(struct trust_watch *w, struct loop *loop, int root_fd,
                       const char *scratch, const struct proto_bytes *cas,
                       dev_t dev)
{
	int r;

	*w = (struct trust_watch){
		.loop = loop,
		.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
		.root_fd = root_fd,
		.scratch = scratch,
		.cas = BUF_INIT,
		.dev = dev,
	};
	r = w->fd < 0 ? -errno : buf_add(&w->cas, cas->p, cas->n);
	(void)dir_make(AT_FDCWD, folders[0], 0755);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++)
		(void)inotify_add_watch(w->fd, folders[i], EVENTS);
	if (r == 0)
		r = loop_add(loop, &w->src, w->fd, EPOLLIN, on_events, w);
	if (r < 0)
		log_warn("cannot watch the folders of certificates: %s",
		         strerror(-r));
}
