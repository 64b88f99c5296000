/*
 * run_io.c - one loop between the command's session and our descriptors.
 *
 *	stdin  --> `input` (one chunk) --> msb_exec_write()
 *	stdout <-- writer <-- msb_exec_next()     stderr the same
 *	signals (signalfd) --> msb_exec_signal(), msb_exec_resize()
 *
 * Back-pressure: while the session takes no input, stdin is not read; while
 * an output has bytes pending, the session is not read, so that its socket
 * fills and the guest's writer stops. Signals are always served.
 *
 * The loop ends with a code: the command's own when EXITED came and all was
 * written, else one of ours. When the keys to let go were typed it ends as soon
 * as the command has started and all that was read of it is written.
 */
#include "cli/run_io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/term.h"
#include "cli/writer.h"

#include "base/banned.h"

#define INPUT_MAX        (32u << 10)
#define CTRL_C           3
#define SECOND_CTRL_C_NS (2 * NS_PER_S)
/* Two keys of one editor command are nearer to each other than this. */
#define SINGLE_KEY_NS (300 * NS_PER_MS)

/* Without a terminal these go to the command. */
static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

struct run {
	const struct run_io_opts *opts;
	struct msb_sandbox *sandbox;
	struct msb_exec *exec;
	struct loop *loop;
	struct loop_fd session, signals, in;
	struct loop_fd out_ready[2];
	struct loop_timer timeout;
	struct writer out[2]; /* stdout, stderr */
	struct keys keys;
	char typed[INPUT_MAX], input[INPUT_MAX + KEYS_MAX];
	size_t input_len, input_off;
	bool input_open, input_eof;
	bool input_always; /* a file: epoll does not take it, it never blocks */
	bool started, over;
	bool leaving;      /* as soon as it can be left */
	uint64_t asked_ns; /* of the last signal that nothing answered yet */
	struct run_io_result result;
	int code; /* -1 while it runs */
};

static void finish(struct run *run, int code)
{
	run->code = code;
	loop_stop(run->loop);
}

static void update(struct run *run);

/* The terminal for a message of ours: the cursor may be anywhere in a line. */
static void begin_message(const struct run *run)
{
	term_restore();
	if (run->opts->raw)
		(void)fputc('\n', stderr);
}

/* ---- what the command says ------------------------------------------------
 */

/* What goes on in the background does so without a reader, too. */
static void on_no_reader(struct run *run)
{
	if (run->opts->leave)
		run->leaving = true; /* update() follows */
	else
		finish(run, EXIT_SIGNAL + SIGPIPE);
}

static void on_output(struct run *run, int which,
                      const struct msb_exec_event *ev)
{
	int r;

	if (!run->result.first_output_ns)
		run->result.first_output_ns = clock_now_ns();
	r = writer_put(&run->out[which], ev->data, ev->len);
	if (r == 0 || which == 1)
		return; /* nobody reads stderr: nobody to tell */
	if (r == -EPIPE) {
		on_no_reader(run);
		return;
	}
	begin_message(run);
	out_errorf("", "cannot write standard output: %s", strerror(-r));
	finish(run, EXIT_MSB);
}

int run_io_explain(const struct run_io_opts *opts,
                   const struct msb_exec_event *ev)
{
	const char *name = opts->command;
	bool missing = ev->error_no == ENOENT || ev->error_no == ENOTDIR;

	term_restore();
	if (strcmp(ev->stage, "exec") != 0) {
		out_errorf("", "cannot run '%s': %s: %s", name, ev->stage,
		           *ev->message ? ev->message : strerror(ev->error_no));
		return EXIT_MSB;
	}
	if (missing && strchr(name, '/'))
		out_errorf("",
		           "cannot run '%s': not found in the image (the "
		           "file or its interpreter)",
		           name);
	else if (missing && opts->path)
		out_errorf("",
		           "cannot run '%s': not found in the image "
		           "(PATH=%s)",
		           name, opts->path);
	else if (missing)
		out_errorf("", "cannot run '%s': not found on PATH", name);
	else
		out_errorf("", "cannot run '%s': %s", name,
		           strerror(ev->error_no));
	return missing ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static void on_timeout(void *arg)
{
	struct run *run = arg;

	begin_message(run);
	out_errorf("", "'%s' ran longer than %g s and was killed",
	           run->opts->command, (double)run->opts->timeout_ms / 1000);
	finish(run, EXIT_TIMEOUT);
}

/* What runs it and what holds it, for --info. */
static void log_machine(const struct run *run)
{
	struct buf cleanup_buf walls = BUF_INIT;
	const char *const *w = msb_sandbox_walls(run->sandbox);

	if (log_get_level() < LOG_INFO)
		return;
	for (; *w; w++)
		(void)buf_printf(&walls, " %s", *w);
	log_info("engine %s, accelerator %s; walls:%s",
	         msb_sandbox_engine(run->sandbox),
	         msb_sandbox_accel(run->sandbox),
	         walls.len ? buf_str(&walls) : " none");
}

static void on_started(struct run *run)
{
	run->started = true;
	run->result.started_ns = clock_now_ns();
	log_machine(run);
	if (run->opts->timeout_ms)
		loop_timer_set(run->loop, &run->timeout,
		               run->result.started_ns +
		                       run->opts->timeout_ms * NS_PER_MS,
		               on_timeout, run);
}

static void on_event(struct run *run, const struct msb_exec_event *ev)
{
	run->asked_ns = 0;
	switch (ev->kind) {
	case MSB_EXEC_STARTED:
		on_started(run);
		break;
	case MSB_EXEC_STDOUT:
		on_output(run, 0, ev);
		break;
	case MSB_EXEC_STDERR:
		on_output(run, 1, ev);
		break;
	case MSB_EXEC_FAILED:
		finish(run, run_io_explain(run->opts, ev));
		break;
	case MSB_EXEC_EXITED:
		run->result.exited_ns = clock_now_ns();
		run->over = run->result.exited = true;
		loop_timer_del(run->loop, &run->timeout);
		run->code = ev->signal ? EXIT_SIGNAL + ev->signal : ev->code;
		break;
	default: /* WRITABLE: update() tries again */
		break;
	}
}

static void on_lost(struct run *run, const struct msb_error *error)
{
	begin_message(run);
	out_error(error);
	out_console(msb_sandbox_console(run->sandbox));
	finish(run, EXIT_MSB);
}

static bool output_pending(const struct run *run)
{
	return run->out[0].pending.len > 0 || run->out[1].pending.len > 0;
}

/* It can be given away once it runs. */
static bool may_leave(const struct run *run)
{
	return run->leaving && run->started && !run->over;
}

static void on_session(void *arg, uint32_t events)
{
	struct run *run = arg;
	struct msb_error error;

	(void)events;
	while (run->code < 0 && !output_pending(run) && !may_leave(run)) {
		struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
		int r = msb_exec_next(run->exec, 0, &ev, &error);

		if (r < 0)
			on_lost(run, &error);
		if (r <= 0)
			break;
		on_event(run, &ev);
	}
	update(run);
}

/* ---- what it is given -----------------------------------------------------
 */

/*
 * In raw mode Ctrl-C is a byte among others. It is the way out when the
 * command has not started yet, or when the guest takes no input any more.
 */
static void watch_for_ctrl_c(struct run *run)
{
	uint64_t now = clock_now_ns(), passed = now - run->asked_ns;
	bool again = run->asked_ns && passed < SECOND_CTRL_C_NS;

	if (!run->opts->raw || !memchr(run->input, CTRL_C, run->input_len))
		return;
	if (again && (!run->started || (passed > SINGLE_KEY_NS &&
	                                msb_exec_unread(run->exec) > 0)))
		finish(run, EXIT_SIGNAL + SIGINT);
	run->asked_ns = now;
}

static void read_input(struct run *run)
{
	ssize_t n = read(0, run->typed, sizeof(run->typed));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	run->input_off = 0;
	run->input_eof = n <= 0;
	/* The end of a terminal is not the end of what it was attached to. */
	if (run->input_eof && run->opts->raw && run->opts->leave)
		run->leaving = true;
	if (keys_pass(&run->keys, run->typed, (size_t)MAX(n, 0), run->input,
	              &run->input_len))
		run->leaving = true;
	watch_for_ctrl_c(run);
}

/*
 * A command that was attached to may have no input. What is typed is dropped,
 * but on a raw terminal looked at, for the keys to let go. False when there
 * will be no more of it.
 */
static bool drop_input(struct run *run)
{
	if (!run->opts->taken_back)
		return false;
	run->input_off = run->input_len;
	run->input_open = run->opts->raw;
	return true;
}

/* Hand over what was read; at the end of file close the command's input. */
static void pump_input(struct run *run)
{
	struct msb_error error;

	while (run->input_open) {
		int64_t n;

		if (run->input_off == run->input_len) {
			if (run->input_eof) {
				if (!run->leaving)
					(void)msb_exec_close_stdin(run->exec,
					                           NULL);
				run->input_open = false;
				return;
			}
			if (!run->input_always)
				return;
			read_input(run);
			continue;
		}
		n = msb_exec_write(run->exec, run->input + run->input_off,
		                   run->input_len - run->input_off, &error);
		if (n == -MSB_ERR_INVALID && drop_input(run))
			continue;
		if (n < 0)
			on_lost(run, &error);
		if (n <= 0)
			return;
		run->input_off += (size_t)n;
	}
}

static void on_input(void *arg, uint32_t events)
{
	struct run *run = arg;

	(void)events;
	read_input(run);
	update(run);
}

static void on_writable(void *arg, uint32_t events)
{
	struct run *run = arg;

	(void)events;
	(void)writer_flush(&run->out[0]);
	(void)writer_flush(&run->out[1]);
	if (run->out[0].broken == -EPIPE && !run->over)
		on_no_reader(run);
	/* What the library has read already, no descriptor tells of. */
	on_session(run, 0);
}

/* ---- which descriptors are waited for -------------------------------------
 */

static void want(struct run *run, struct loop_fd *s, int fd, bool wanted,
                 uint32_t events, void (*cb)(void *arg, uint32_t events))
{
	if (wanted && !s->added)
		(void)loop_add(run->loop, s, fd, events, cb, run);
	else if (!wanted && s->added)
		loop_del(run->loop, s);
}

static void update(struct run *run)
{
	bool stuck = output_pending(run);

	if (!run->over)
		pump_input(run);
	if (!stuck && (run->over || may_leave(run))) {
		run->result.let_go = !run->over;
		loop_stop(run->loop);
		return;
	}
	want(run, &run->session, msb_exec_fd(run->exec), !stuck && !run->over,
	     EPOLLIN, on_session);
	want(run, &run->in, 0,
	     run->input_open && !run->input_always && !run->over &&
	             !run->input_eof && run->input_off == run->input_len,
	     EPOLLIN, on_input);
	for (int i = 0; i < 2; i++)
		want(run, &run->out_ready[i], run->out[i].fd,
		     run->out[i].pending.len > 0, EPOLLOUT, on_writable);
}

/* ---- signals --------------------------------------------------------------
 */

void run_io_block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		(void)sigaddset(&set, forwarded[i]);
	(void)sigaddset(&set, SIGWINCH);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static void on_resize(struct run *run)
{
	uint16_t rows, cols;

	if (run->opts->tty && term_size(1, &rows, &cols))
		(void)msb_exec_resize(run->exec, rows, cols, NULL);
}

/*
 * In raw mode a signal comes from outside, not from a key: somebody wants msb
 * itself to end. Else it is the command's, unless it is the second one in a
 * row that nothing answers.
 */
static void on_terminate(struct run *run, int signo)
{
	uint64_t now = clock_now_ns();
	bool again = run->asked_ns && now - run->asked_ns < SECOND_CTRL_C_NS;

	if (run->opts->leave && !run->leaving) {
		run->leaving = true; /* update() follows */
		return;
	}
	if (run->opts->raw || run->over || again) {
		finish(run, EXIT_SIGNAL + signo);
		return;
	}
	if (!run->started)
		out_note("the machine is still starting; once more kills it");
	run->asked_ns = now;
	(void)msb_exec_signal(run->exec, signo, NULL);
}

/* Stopped from outside (Ctrl-Z is the guest's): give the terminal back. */
static void on_stop(struct run *run)
{
	term_restore();
	(void)raise(SIGSTOP);
	if (term_raw(0) == 0)
		on_resize(run);
}

static void on_signal(void *arg, uint32_t events)
{
	struct run *run = arg;
	struct signalfd_siginfo si;

	(void)events;
	while (read(run->signals.fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGWINCH)
			on_resize(run);
		else if (si.ssi_signo == SIGTSTP)
			on_stop(run);
		else
			on_terminate(run, (int)si.ssi_signo);
	}
	update(run);
}

/* ---- putting it together --------------------------------------------------
 */

static int watch_signals(struct run *run)
{
	sigset_t set;
	int fd, r;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		(void)sigaddset(&set, forwarded[i]);
	(void)sigaddset(&set, SIGWINCH);
	if (run->opts->raw) {
		(void)sigaddset(&set, SIGTSTP);
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
	}
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = loop_add(run->loop, &run->signals, fd, EPOLLIN, on_signal, run);
	if (r < 0)
		(void)close(fd);
	return r;
}

/* A regular file and /dev/null are not for epoll: they never block. */
static void open_input(struct run *run)
{
	int r;

	run->input_open = run->opts->use_stdin;
	if (!run->input_open)
		return;
	r = loop_add(run->loop, &run->in, 0, EPOLLIN, on_input, run);
	run->input_always = r == -EPERM;
}

static int start(struct run *run)
{
	int r = 0;

	run->loop = loop_new();
	if (!run->loop)
		return -errno;
	r = watch_signals(run);
	if (r == 0 && run->opts->raw)
		r = term_raw(0);
	if (r == 0)
		open_input(run);
	return r;
}

static void stop(struct run *run)
{
	for (int i = 0; i < 2; i++)
		writer_release(&run->out[i]);
	if (run->signals.added)
		(void)close(run->signals.fd);
	loop_free(run->loop);
	term_restore();
}

/*
 * A program that fills the screen draws only when the size changes: so it is
 * made to change.
 */
static void take_over(struct run *run)
{
	uint16_t rows, cols;

	on_started(run);
	if (run->opts->tty && term_size(1, &rows, &cols) && rows > 1)
		(void)msb_exec_resize(run->exec, rows - 1, cols, NULL);
}

int run_io(struct msb_sandbox *sandbox, struct msb_exec *exec,
           const struct run_io_opts *opts, struct run_io_result *ret)
{
	static struct run run; /* large; there is one */
	int r;

	run = (struct run){.opts = opts,
	                   .sandbox = sandbox,
	                   .exec = exec,
	                   .keys = opts->raw ? opts->keys
	                                     : (struct keys){.n = 0},
	                   .code = -1};
	writer_init(&run.out[0], 1);
	writer_init(&run.out[1], 2);
	r = start(&run);
	if (r == 0) {
		if (opts->taken_back)
			take_over(&run);
		on_resize(&run);     /* it may have changed since the start */
		on_session(&run, 0); /* something may lie there already */
		r = loop_run(run.loop);
	}
	stop(&run);
	*ret = run.result;
	if (r < 0) {
		out_errorf("", "cannot wait for the command: %s", strerror(-r));
		return EXIT_MSB;
	}
	if (run.result.let_go)
		return EXIT_OK;
	return run.code < 0 ? EXIT_MSB : run.code;
}
