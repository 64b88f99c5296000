/*
 * stream.c - a command in a sandbox, between our standard input and output.
 *
 *	cc stream.c -o stream $(pkg-config --cflags --libs microsandbox)
 *	tar c . | ./stream box tar tv
 */
#include <microsandbox.h>

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* What was read of our standard input; `done` of it the command has. */
struct input {
	char data[65536];
	size_t len, done;
	int ended;
};

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	return 1;
}

/* Offer what is there. Not all is taken while the command does not read. */
static int offer(struct msb_exec *exec, struct input *in, struct msb_error *e)
{
	int64_t n = msb_exec_write(exec, in->data + in->done,
	                           in->len - in->done, e);

	in->done += n > 0 ? (size_t)n : 0;
	return n < 0 ? -1 : 0;
}

static int refill(struct msb_exec *exec, struct input *in, struct msb_error *e)
{
	ssize_t n = read(0, in->data, sizeof(in->data));

	if (n <= 0) {
		in->ended = 1;
		return msb_exec_close_stdin(exec, e);
	}
	in->len = (size_t)n;
	in->done = 0;
	return offer(exec, in, e);
}

/* -1: go on; else the exit code. */
static int on_event(struct msb_exec *exec, struct input *in,
                    const struct msb_exec_event *event)
{
	struct msb_error error;

	switch (event->kind) {
	case MSB_EXEC_STDOUT:
	case MSB_EXEC_STDERR:
		fwrite(event->data, 1, event->len,
		       event->kind == MSB_EXEC_STDOUT ? stdout : stderr);
		break;
	case MSB_EXEC_WRITABLE:
		return offer(exec, in, &error) < 0 ? fail(&error) : -1;
	case MSB_EXEC_FAILED:
		fprintf(stderr, "not started: %s\n", event->message);
		return 127;
	case MSB_EXEC_EXITED:
		return event->signal ? 128 + event->signal : event->code;
	}
	return -1;
}

static int pump(struct msb_exec *exec)
{
	struct msb_exec_event event = MSB_EXEC_EVENT_INIT;
	struct input in = {.len = 0};
	struct msb_error error;

	for (;;) {
		struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
		int code, r;

		while ((r = msb_exec_next(exec, 0, &event, &error)) == 1)
			if ((code = on_event(exec, &in, &event)) >= 0)
				return code;
		if (r < 0)
			return fail(&error);
		fflush(stdout);
		fds[0].fd = msb_exec_fd(exec);
		fds[1].fd = in.done == in.len && !in.ended ? 0 : -1;
		if (poll(fds, 2, -1) > 0 && fds[1].revents &&
		    refill(exec, &in, &error) < 0)
			return fail(&error);
	}
}

int main(int argc, char **argv)
{
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_sandbox *sandbox = NULL;
	struct msb_exec *exec = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = 2;

	opts.flags = MSB_EXEC_STDIN;
	opts.argv = (const char *const *)(argv + 2);
	if (argc < 3)
		fprintf(stderr, "usage: stream NAME COMMAND...\n");
	else if (msb_home_open(NULL, &home, &error) < 0 ||
	         msb_sandbox_open(home, argv[1], &sandbox, &error) < 0 ||
	         msb_exec_start(sandbox, &opts, &exec, &error) < 0)
		code = fail(&error);
	else
		code = pump(exec);
	msb_exec_free(exec); /* NULL is fine, here and below */
	msb_sandbox_free(sandbox);
	msb_home_free(home);
	return code;
}
