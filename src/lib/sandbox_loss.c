/*
 * sandbox_loss.c - why a stream of the guest ended early. Mostly its machine
 * ends, and msb-vmm is about to say why; a guest may also cut a stream and
 * live on, which is believed after LOST_WAIT_MS.
 *
 * Who must not wait has what ends the waiting in an epoll of its own: the
 * machine's line, news of it that another thread took from there, and the time.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/error.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define LOST_WAIT_MS 3000

/* msb-vmm closes what is past the bound of its vsock device, too. */
static int cut_by_guest(struct err *err)
{
	int r = err_set(err, -LIB_EGONE,
	                "the guest dropped the command (was it shut down "
	                "from inside?)");

	err_hint(err, "a machine takes at most 1024 commands and file "
	              "transfers at once");
	return r;
}

int sandbox_lost(struct msb_sandbox *sb, struct err *err)
{
	int r;

	sandbox_lock(sb);
	r = machine_wait_end(&sb->machine, LOST_WAIT_MS);
	if (r == 0)
		r = sandbox_explain_end(sb, err);
	else if (r == -ECANCELED)
		err_set(err, r, "cancelled");
	else
		r = cut_by_guest(err);
	sandbox_unlock(sb);
	return r;
}

/* ---- for who must not wait ----------------------------------------------- */

/* A timerfd that is readable from @ns on, or a negative errno. */
static int timer_at(uint64_t ns)
{
	const struct itimerspec at = {
		.it_value = {.tv_sec = (time_t)(ns / NS_PER_S),
	                     .tv_nsec = (long)(ns % NS_PER_S)}
        };
	cleanup_close int fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL) < 0)
		return -errno;
	return take_fd(fd);
}

static int watch(int epfd, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN};

	return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* Not all of it is left behind when it fails: descriptors leave an epoll. */
int sandbox_loss_begin(struct msb_sandbox *sb, struct sandbox_loss *l, int epfd)
{
	cleanup_close int news = -1, timer = -1;
	int r;

	l->end_ns = clock_now_ns() + LOST_WAIT_MS * NS_PER_MS;
	news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	timer = timer_at(l->end_ns);
	if (news < 0 || timer < 0)
		return news < 0 ? -errno : timer;
	r = watch(epfd, news);
	if (r == 0)
		r = watch(epfd, timer);
	if (r == 0)
		r = watch(epfd, sb->machine.control);
	if (r < 0)
		return r;
	l->timer = take_fd(timer);
	l->news = (struct machine_waiter){.fd = take_fd(news)};
	sandbox_lock(sb);
	machine_waiter_add(&sb->machine, &l->news);
	sandbox_unlock(sb);
	return 0;
}

int sandbox_loss_look(struct msb_sandbox *sb, struct sandbox_loss *l,
                      struct err *err)
{
	uint64_t count;
	ssize_t n = 0;
	int r = -EAGAIN;

	sandbox_lock(sb);
	if (l->news.fd >= 0) /* no news any more */
		n = read(l->news.fd, &count, sizeof(count));
	(void)n;
	machine_process(&sb->machine);
	if (machine_has_ended(&sb->machine))
		r = sandbox_explain_end(sb, err);
	else if (clock_now_ns() >= l->end_ns)
		r = cut_by_guest(err);
	sandbox_unlock(sb);
	return r;
}

void sandbox_loss_end(struct msb_sandbox *sb, struct sandbox_loss *l)
{
	if (l->news.fd < 0)
		return;
	sandbox_lock(sb);
	machine_waiter_del(&sb->machine, &l->news);
	sandbox_unlock(sb);
	close_fd(&l->news.fd);
	close_fd(&l->timer);
}
