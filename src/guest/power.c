#include "guest/power.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

#define KILL_WAIT_MS   2000 /* after SIGKILL: for those in the kernel */
#define TIMEOUT_MAX_MS 3600000
#define FLUSH_US       5000 /* for the last messages in vsock's queue */

void power_kill_all(void *arg, int signo)
{
	(void)arg;
	(void)kill(-1, signo);
}

void power_end(int upper_fd)
{
	sync();
	if (upper_fd >= 0)
		(void)ioctl(upper_fd, FIFREEZE, 0);
	(void)usleep(FLUSH_US);
	(void)reboot(RB_AUTOBOOT);
}

static void off(struct power *p)
{
	loop_timer_del(p->loop, &p->timer);
	p->state = POWER_OFF;
	p->ops->end(p->upper_fd);
}

void power_check(struct power *p)
{
	if ((p->state == POWER_TERM || p->state == POWER_KILL) &&
	    p->ops->idle(p->arg))
		off(p);
}

static void on_timer(void *arg)
{
	struct power *p = arg;

	if (p->state == POWER_KILL) {
		off(p);
		return;
	}
	p->state = POWER_KILL;
	p->ops->kill_all(p->arg, SIGKILL);
	loop_timer_set(p->loop, &p->timer,
	               clock_now_ns() + KILL_WAIT_MS * NS_PER_MS, on_timer, p);
	power_check(p); /* nothing may have been left to kill */
}

void power_begin(struct power *p, uint32_t timeout_ms)
{
	uint64_t ms = MIN(timeout_ms, TIMEOUT_MAX_MS);
	uint64_t end = clock_now_ns() + ms * NS_PER_MS;

	if (p->state == POWER_KILL || p->state == POWER_OFF)
		return;
	if (p->state == POWER_ON)
		p->ops->kill_all(p->arg, SIGTERM);
	if (p->state == POWER_ON || end < p->timer.deadline_ns)
		loop_timer_set(p->loop, &p->timer, end, on_timer, p);
	p->state = POWER_TERM;
	power_check(p);
}
