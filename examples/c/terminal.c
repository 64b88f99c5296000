/*
 * terminal.c - a shell in a sandbox that runs, on our terminal: raw mode, and
 * the size follows the window.
 *
 *	cc terminal.c -o terminal $(pkg-config --cflags --libs microsandbox)
 *	./terminal box
 */
#include <microsandbox.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t resized;

static void on_resize(int signo)
{
	(void)signo;
	resized = 1; /* poll() ends with EINTR */
}

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\r\n", error->message);
	return 1;
}

static int follow_size(struct msb_exec *exec, struct msb_error *error)
{
	struct winsize ws;

	resized = 0;
	if (ioctl(0, TIOCGWINSZ, &ws) < 0)
		return 0;
	return msb_exec_resize(exec, ws.ws_row, ws.ws_col, error);
}

/* Keys are few: what does not fit into the window is dropped. */
static int send_keys(struct msb_exec *exec, struct msb_error *error)
{
	char keys[256];
	ssize_t n = read(0, keys, sizeof(keys));

	if (n <= 0)
		return msb_exec_close_stdin(exec, error);
	return msb_exec_write(exec, keys, (size_t)n, error) < 0 ? -1 : 0;
}

static int session(struct msb_exec *exec)
{
	struct msb_exec_event event = MSB_EXEC_EVENT_INIT;
	struct msb_error error;

	for (;;) {
		struct pollfd fds[2] = {
			{.fd = msb_exec_fd(exec), .events = POLLIN},
			{.fd = 0,                 .events = POLLIN}
                };
		int r;

		while ((r = msb_exec_next(exec, 0, &event, &error)) == 1) {
			if (event.kind == MSB_EXEC_STDOUT &&
			    write(1, event.data, event.len) < 0)
				return 1;
			if (event.kind == MSB_EXEC_EXITED)
				return event.code;
			if (event.kind == MSB_EXEC_FAILED)
				return 127;
		}
		if (r < 0 || (resized && follow_size(exec, &error) < 0))
			return fail(&error);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (fds[1].revents && send_keys(exec, &error) < 0)
			return fail(&error);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_resize};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_sandbox *sandbox = NULL;
	struct msb_exec *exec = NULL;
	struct msb_home *home = NULL;
	struct termios saved, raw;
	struct msb_error error;
	int code;

	if (argc != 2 || tcgetattr(0, &saved) < 0) {
		fprintf(stderr, "usage: terminal NAME, on a terminal\n");
		return 2;
	}
	opts.flags = MSB_EXEC_TTY | MSB_EXEC_STDIN | MSB_EXEC_SHELL;
	sigaction(SIGWINCH, &action, NULL);
	resized = 1;
	raw = saved;
	cfmakeraw(&raw);
	if (msb_home_open(NULL, &home, &error) < 0 ||
	    msb_sandbox_open(home, argv[1], &sandbox, &error) < 0 ||
	    msb_exec_start(sandbox, &opts, &exec, &error) < 0) {
		code = fail(&error);
	} else {
		tcsetattr(0, TCSADRAIN, &raw);
		code = session(exec);
		tcsetattr(0, TCSADRAIN, &saved);
	}
	msb_exec_free(exec);
	msb_sandbox_free(sandbox);
	msb_home_free(home);
	return code;
}
