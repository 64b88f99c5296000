#include "cli/term.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/num.h"

#include "base/banned.h"

/* Signals that end us without a chance to come back to main(). */
static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};

static struct termios saved;
static volatile sig_atomic_t raw_fd = -1;
static bool prepared;

void term_restore(void)
{
	int e = errno, fd = raw_fd;

	raw_fd = -1;
	if (fd >= 0)
		(void)tcsetattr(fd, TCSADRAIN, &saved);
	errno = e;
}

static void on_fatal(int signo)
{
	term_restore();
	(void)raise(signo); /* SA_RESETHAND: now the default action */
}

/* Once a process. */
static int prepare(void)
{
	struct sigaction sa = {.sa_handler = on_fatal,
	                       .sa_flags = (int)SA_RESETHAND | SA_NODEFER};

	if (prepared)
		return 0;
	if (atexit(term_restore) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		(void)sigaction(fatal[i], &sa, NULL);
	prepared = true;
	return 0;
}

int term_raw(int fd)
{
	struct termios t;
	int r = prepare();

	if (r < 0)
		return r;
	if (tcgetattr(fd, &saved) < 0)
		return -errno;
	t = saved;
	cfmakeraw(&t);
	raw_fd = fd;
	if (tcsetattr(fd, TCSADRAIN, &t) < 0) {
		raw_fd = -1;
		return -errno;
	}
	return 0;
}

bool term_size(int fd, uint16_t *ret_rows, uint16_t *ret_cols)
{
	struct winsize ws;

	if (ioctl(fd, TIOCGWINSZ, &ws) < 0 || ws.ws_row == 0 || ws.ws_col == 0)
		return false;
	*ret_rows = ws.ws_row;
	*ret_cols = ws.ws_col;
	return true;
}
