#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "cli/term.h"

#include "base/banned.h"

/* Alternate screen, no cursor; and back. */
#define ENTER "\033[?1049h\033[?25l\033[H\033[2J"
#define LEAVE "\033[0m\033[?25h\033[?1049l"

#define KEY_CTRL_C '\003'
#define KEY_CTRL_Z '\032'
#define KEY_ESCAPE '\033'

/* These end a program: the screen is given back first. */
static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* These end it without a chance to come back to main(). */
static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};

static volatile sig_atomic_t shown;
static int signal_fd = -1;
static struct buf last = BUF_INIT_MAX(4u << 20); /* what is on the screen */

static void leave(void)
{
	ssize_t n;

	if (!shown)
		return;
	shown = 0;
	n = write(1, LEAVE, sizeof(LEAVE) - 1);
	(void)n; /* a terminal that is gone needs nothing back */
	term_restore();
}

static int enter(void)
{
	int r = term_raw(0);

	if (r < 0)
		return r;
	shown = 1;
	buf_reset(&last);
	return fd_write_full(1, ENTER, sizeof(ENTER) - 1);
}

static void on_fatal(int signo)
{
	leave();
	(void)raise(signo); /* SA_RESETHAND: now the default action */
}

/* Behind term_raw(), whose handlers these replace. */
static void catch_fatal(void)
{
	struct sigaction sa = {.sa_handler = on_fatal,
	                       .sa_flags = (int)SA_RESETHAND | SA_NODEFER};

	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		(void)sigaction(fatal[i], &sa, NULL);
}

static int open_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		(void)sigaddset(&set, ending[i]);
	(void)sigaddset(&set, SIGWINCH);
	(void)sigaddset(&set, SIGTSTP);
	(void)sigaddset(&set, SIGCONT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signal_fd < 0 ? -errno : 0;
}

int screen_open(void)
{
	int r;

	if (!isatty(0) || !isatty(1))
		return -ENOTTY;
	r = open_signals();
	if (r == 0 && atexit(leave) != 0)
		r = -ENOMEM;
	if (r == 0)
		r = enter();
	if (r < 0)
		screen_close();
	else
		catch_fatal();
	return r;
}

void screen_close(void)
{
	leave();
	close_fd(&signal_fd);
	buf_release(&last);
	last = (struct buf)BUF_INIT_MAX(4u << 20);
}

void screen_size(uint16_t *ret_rows, uint16_t *ret_cols)
{
	*ret_rows = 24;
	*ret_cols = 80;
	(void)term_size(1, ret_rows, ret_cols);
}

/* ---- drawing ------------------------------------------------------------- */

static size_t line_length(const char *s)
{
	return strcspn(s, "\n");
}

static const char *next_line(const char *s)
{
	s += line_length(s);
	return *s ? s + 1 : s;
}

int screen_draw(const struct buf *text)
{
	struct buf cleanup_buf out = BUF_INIT_MAX(8u << 20);
	const char *now = buf_str(text), *old = buf_str(&last);
	unsigned row = 1;

	for (; *now; now = next_line(now), old = next_line(old), row++) {
		size_t n = line_length(now);

		if (*old && n == line_length(old) && memcmp(now, old, n) == 0)
			continue;
		(void)buf_printf(&out, "\033[%u;1H", row);
		(void)buf_add(&out, now, n);
		(void)buf_adds(&out, "\033[K");
	}
	if (*old)
		(void)buf_printf(&out, "\033[%u;1H\033[J", row);
	buf_reset(&last);
	(void)buf_add(&last, text->data, text->len);
	if (!buf_ok(&out) || !buf_ok(&last))
		return -ENOMEM;
	return out.len ? fd_write_full(1, out.data, out.len) : 0;
}

/* ---- waiting ------------------------------------------------------------- */

/* Stopped as the shell expects it, with its terminal as it was. */
static void stop_here(void)
{
	leave();
	(void)raise(SIGSTOP);
	(void)enter();
}

static enum screen_event on_signal(int *ret)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return SCREEN_TIME;
	if (info.ssi_signo == SIGTSTP) {
		stop_here();
		return SCREEN_RESIZED;
	}
	if (info.ssi_signo == SIGCONT || info.ssi_signo == SIGWINCH) {
		leave(); /* a shell may have used the terminal meanwhile */
		(void)enter();
		return SCREEN_RESIZED;
	}
	*ret = (int)info.ssi_signo;
	return SCREEN_SIGNAL;
}

static enum screen_event on_key(int *ret)
{
	char keys[64];
	ssize_t n = read(0, keys, sizeof(keys));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return SCREEN_TIME;
	*ret = n <= 0 ? SIGHUP : SIGINT;
	if (n <= 0 || keys[0] == KEY_CTRL_C)
		return SCREEN_SIGNAL;
	if (keys[0] == KEY_CTRL_Z) {
		stop_here();
		return SCREEN_RESIZED;
	}
	*ret = keys[0] == KEY_ESCAPE ? 0 : keys[0]; /* an arrow, say: none */
	return SCREEN_KEY;
}

enum screen_event screen_wait(uint64_t until_ns, int *ret)
{
	for (;;) {
		struct pollfd pf[2] = {
			{.fd = signal_fd, .events = POLLIN},
			{.fd = 0,         .events = POLLIN}
                };
		uint64_t now = clock_now_ns();
		enum screen_event ev = SCREEN_TIME;

		if (now >= until_ns)
			return SCREEN_TIME;
		if (poll(pf, 2, (int)((until_ns - now) / NS_PER_MS) + 1) <= 0)
			continue;
		if (pf[0].revents)
			ev = on_signal(ret);
		else if (pf[1].revents)
			ev = on_key(ret);
		if (ev != SCREEN_TIME)
			return ev;
	}
}
