/*
 * Exec sessions of the agent, run as an ordinary process: the test is the
 * host, over a socket pair, and turns the agent's loop itself.
 */
#include "lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "guest/server.h"

#define TIME_LIMIT_NS (60 * NS_PER_S)

static struct loop *loop;
static struct server server;
static char folder[] = "/tmp/msb-session-XXXXXX";
static char passwd_path[64], group_path[64];

/* The host's end, and all that came through it. */
struct host {
	int fd;
	struct buf in, out, err;
	uint64_t acked;
	uint32_t pid;
	struct proto_exited exited;
	int32_t error;
	char stage[32], message[600];
	bool failed, done, cut;
};

static struct host host_new(void)
{
	struct host h = {.in = BUF_INIT, .out = BUF_INIT, .err = BUF_INIT};
	int s[2];

	assert_int_equal(socketpair(AF_UNIX,
	                            SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	                            0, s),
	                 0);
	h.fd = s[0];
	assert_int_equal(server_adopt(&server, s[1]), 0);
	return h;
}

static void host_release(struct host *h)
{
	close_fd(&h->fd);
	buf_release(&h->in);
	buf_release(&h->out);
	buf_release(&h->err);
}
#define cleanup_host cleanup(host_release)

static void take(struct host *h, const struct proto_msg *m)
{
	switch ((int)m->type) {
	case PROTO_STARTED:
		assert_false(h->pid || h->done);
		h->pid = m->started.pid;
		return;
	case PROTO_EXEC_FAILED:
		assert_int_equal(h->pid, 0);
		h->failed = h->done = true;
		h->error = m->exec_failed.error;
		(void)snprintf(h->stage, sizeof(h->stage), "%s",
		               m->exec_failed.stage);
		(void)snprintf(h->message, sizeof(h->message), "%s",
		               m->exec_failed.message);
		return;
	case PROTO_STDOUT:
		assert_true(h->pid && !h->done);
		assert_int_equal(buf_add(&h->out, m->stdout_data.data.p,
		                         m->stdout_data.data.n),
		                 0);
		return;
	case PROTO_STDERR:
		assert_true(h->pid && !h->done);
		assert_int_equal(buf_add(&h->err, m->stderr_data.data.p,
		                         m->stderr_data.data.n),
		                 0);
		return;
	case PROTO_STDIN_ACK:
		h->acked += m->stdin_ack.count;
		return;
	case PROTO_EXITED:
		assert_true(h->pid && !h->done);
		h->exited = m->exited;
		h->done = true;
		return;
	default:
		fail_msg("unexpected %s", proto_type_name(m->type));
	}
}

static void receive(struct host *h)
{
	struct proto_msg m;
	ssize_t n;

	assert_int_equal(buf_reserve(&h->in, 1 << 16), 0);
	n = recv(h->fd, h->in.data + h->in.len, 1 << 16, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		h->cut = true;
	if (n > 0)
		buf_commit(&h->in, (size_t)n);
	while (h->in.len && (n = proto_decode(h->in.data, h->in.len, &m))) {
		assert_true(n > 0);
		take(h, &m);
		proto_release(&m);
		buf_consume(&h->in, (size_t)n);
	}
}

static void step(struct host *h)
{
	assert_int_equal(loop_step(loop, 1), 0);
	receive(h);
}

static void put(struct host *h, const struct proto_msg *m)
{
	struct buf cleanup_buf b = BUF_INIT;
	size_t done = 0;

	assert_int_equal(proto_encode(&b, m), 0);
	while (done < b.len) {
		ssize_t n =
			send(h->fd, b.data + done, b.len - done, MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			step(h);
		else
			return; /* it hung up on us: the caller looks */
	}
}

static void until_end(struct host *h)
{
	uint64_t end = clock_now_ns() + TIME_LIMIT_NS;

	while (!h->cut && clock_now_ns() < end)
		step(h);
	assert_true(h->cut);
}

static void until_started(struct host *h)
{
	uint64_t end = clock_now_ns() + TIME_LIMIT_NS;

	while (!h->pid && !h->cut && clock_now_ns() < end)
		step(h);
	assert_true(h->pid);
}

/* A message with these arguments; more is set by the caller. */
/* clang-format off */
#define EXEC(...) \
	((struct proto_msg){ \
		.type = PROTO_EXEC, \
		.exec = {.argv = list((char *[]){__VA_ARGS__, NULL}), \
			 .env = list((char *[]){ \
				 "PATH=/usr/local/bin:/usr/bin:/bin", NULL}), \
			 .cwd = "", \
			 .user = ""}})
/* clang-format on */
#define SH(script) EXEC("sh", "-c", script)

static struct proto_strs list(char *const *v)
{
	uint32_t n = 0;

	while (v[n])
		n++;
	return (struct proto_strs){v, n};
}

static void run(struct host *h, const struct proto_msg *m)
{
	put(h, m);
	until_end(h);
	assert_true(h->done);
}

static void put_stdin(struct host *h, const void *p, size_t n)
{
	struct proto_msg m = {
		.type = PROTO_STDIN, .stdin_data.data = {p, (uint32_t)n}
        };

	put(h, &m);
}

static void put_signal(struct host *h, uint32_t signo)
{
	struct proto_msg m = {.type = PROTO_SIGNAL, .signal.signo = signo};

	put(h, &m);
}

static size_t open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void write_text(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* ---- tests --------------------------------------------------------------- */

static void output_is_apart_and_the_code_is_told(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = SH("printf %s \"$A\"; echo e >&2; exit 7");

	(void)state;
	m.exec.env = list((char *[]){"A=b c", "PATH=/bin:/usr/bin", NULL});
	run(&h, &m);
	assert_string_equal(buf_str(&h.out), "b c");
	assert_string_equal(buf_str(&h.err), "e\n");
	assert_int_equal(h.exited.code, 7);
	assert_int_equal(h.exited.signo, 0);
}

static void arguments_arrive_as_they_are(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = EXEC("printf", "%s|", "", "a b", "\n$x", "\xff");

	(void)state;
	run(&h, &m);
	assert_string_equal(buf_str(&h.out), "|a b|\n$x|\xff|");
}

static void missing_environment_is_filled(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = EXEC("env");

	(void)state;
	m.exec.env = list((char *[]){NULL});
	run(&h, &m);
	assert_non_null(strstr(buf_str(&h.out), "HOME=/h/root\n"));
	assert_non_null(strstr(buf_str(&h.out), "PATH=/usr/local/sbin:"));
}

static void working_folder_is_made(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = EXEC("pwd");
	char path[80];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/a/b", folder);
	m.exec.cwd = path;
	run(&h, &m);
	assert_memory_equal(buf_str(&h.out), path, strlen(path));
}

static void ten_mib_pass_through_cat(void **state)
{
	enum { SIZE = 10 << 20 };
	struct host cleanup_host h = host_new();
	struct proto_msg m = EXEC("cat");
	uint8_t *data = malloc(SIZE);
	size_t sent = 0;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	m.exec.want_stdin = 1;
	put(&h, &m);
	while (sent < SIZE && !h.cut) {
		size_t n = MIN(SIZE - sent, PROTO_DATA_MAX);

		if (sent + n - h.acked > PROTO_STDIN_WINDOW) {
			step(&h);
			continue;
		}
		put_stdin(&h, data + sent, n);
		sent += n;
	}
	put_stdin(&h, "", 0);
	until_end(&h);
	assert_int_equal(h.exited.code, 0);
	assert_int_equal(h.acked, SIZE);
	assert_int_equal(h.out.len, SIZE);
	assert_memory_equal(h.out.data, data, SIZE);
	free(data);
}

static void input_nobody_reads_is_acknowledged(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = SH("exec <&-; sleep 0.3");
	static const uint8_t zero[PROTO_DATA_MAX];

	(void)state;
	m.exec.want_stdin = 1;
	put(&h, &m);
	for (int i = 0; i < 4; i++)
		put_stdin(&h, zero, sizeof(zero));
	until_end(&h);
	assert_true(h.done);
	assert_int_equal(h.acked, sizeof(zero) * 4);
}

static void without_stdin_there_is_dev_null(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = EXEC("cat");

	(void)state;
	run(&h, &m);
	assert_int_equal(h.exited.code, 0);
	assert_int_equal(h.out.len, 0);
}

static void signals_reach_the_group(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = SH("sleep 100; true");

	(void)state;
	put(&h, &m);
	until_started(&h);
	put_signal(&h, SIGTERM);
	until_end(&h);
	assert_int_equal(h.exited.signo, SIGTERM);
}

static void early_signal_waits_for_the_command(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = EXEC("sleep", "100");

	(void)state;
	put(&h, &m);
	put_signal(&h, SIGINT);
	until_end(&h);
	assert_int_equal(h.exited.signo, SIGINT);
}

static void failures_name_their_stage(void **state)
{
	static const struct {
		const char *argv0, *cwd, *user, *rlimit, *stage, *message;
		int error;
	} cases[] = {
		{"nope-nope", "",              "",      NULL,      "exec",   "no such command", ENOENT },
		{"/etc",      "",              "",      NULL,      "exec",   "/etc",            EACCES },
		{"./plain",   "",              "",      NULL,      "exec",   "cannot run",      EACCES },
		{"./text",    "",              "",      NULL,      "exec",   "format",          ENOEXEC},
		{"./loader",  "",              "",      NULL,      "exec",   "interpreter",     ENOENT },
		{"true",      "rel",           "",      NULL,      "cwd",    "absolute",        EINVAL },
		{"true",      "/etc/passwd/x", "",      NULL,      "cwd",    "",                ENOTDIR},
		{"true",      "",              "ghost", NULL,      "user",   "no user 'ghost'", ENOENT },
		{"true",      "",              "",      "bogus=1", "rlimit", "bogus",           EINVAL },
	};
	char path[96];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/plain", folder);
	write_text(path, "#!/bin/sh\n", 0644);
	(void)snprintf(path, sizeof(path), "%s/text", folder);
	write_text(path, "no program\n", 0755);
	(void)snprintf(path, sizeof(path), "%s/loader", folder);
	write_text(path, "#!/no/such/interpreter\n", 0755);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct host cleanup_host h = host_new();
		struct proto_msg m = EXEC((char *)(uintptr_t)cases[i].argv0);

		m.exec.cwd = *cases[i].cwd ? cases[i].cwd : folder;
		m.exec.user = cases[i].user;
		m.exec.rlimits = list(
			(char *[]){(char *)(uintptr_t)cases[i].rlimit, NULL});
		run(&h, &m);
		assert_true(h.failed);
		assert_string_equal(h.stage, cases[i].stage);
		assert_int_equal(h.error, cases[i].error);
		assert_non_null(strstr(h.message, cases[i].message));
	}
}

static void command_runs_as_the_named_user(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m =
		SH("id -u; id -g; id -G; echo $HOME; echo x >/dev/stdout");

	(void)state;
	if (geteuid() != 0)
		skip();
	m.exec.user = "www";
	run(&h, &m);
	assert_string_equal(buf_str(&h.out), "33\n33\n33 44\n/var/www\nx\n");
}

static void limits_are_set(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = SH("ulimit -Sn; ulimit -Hn; ulimit -Sc");

	(void)state;
	m.exec.rlimits = list((char *[]){"nofile=100:200", "core=0", NULL});
	run(&h, &m);
	assert_string_equal(buf_str(&h.out), "100\n200\n0\n");
}

static void terminal_has_the_size_and_follows_it(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = SH("tty; stty size; read x; stty size; echo e>&2");
	struct proto_msg size = {
		.type = PROTO_RESIZE, .resize = {.rows = 50, .cols = 132}
        };

	(void)state;
	m.exec.tty = 1;
	m.exec.cols = 100;
	put(&h, &m);
	while (!strstr(buf_str(&h.out), "24 100") && !h.cut)
		step(&h);
	put(&h, &size);
	put_stdin(&h, "go\n", 3);
	until_end(&h);
	assert_non_null(strstr(buf_str(&h.out), "/dev/pts/"));
	assert_non_null(strstr(buf_str(&h.out), "50 132\r\ne\r\n"));
	assert_int_equal(h.err.len, 0);
	assert_int_equal(h.exited.code, 0);
}

static void slow_host_stops_the_command(void **state)
{
	enum { SIZE = 16 << 20 };
	struct host cleanup_host h = host_new();
	struct proto_msg m = SH("head -c 16777216 /dev/zero; echo end >&2");
	uint64_t end;

	(void)state;
	put(&h, &m);
	until_started(&h);
	end = clock_now_ns() + 300 * NS_PER_MS;
	while (clock_now_ns() < end) /* the host reads nothing */
		assert_int_equal(loop_step(loop, 1), 0);
	assert_int_equal(kill((pid_t)h.pid, 0), 0);
	assert_true(h.out.len < SIZE / 4);
	until_end(&h);
	assert_int_equal(h.out.len, SIZE);
	assert_string_equal(buf_str(&h.err), "end\n");
}

static void background_process_does_not_hold_the_session(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = SH("sleep 20 & echo $!");
	uint64_t start = clock_now_ns(), pid;

	(void)state;
	run(&h, &m);
	assert_true(clock_now_ns() - start < 10 * NS_PER_S);
	assert_int_equal(h.exited.code, 0);
	h.out.data[h.out.len - 1] = '\0';
	assert_true(num_parse_u64(buf_str(&h.out), INT32_MAX, &pid));
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0); /* it lived on */
}

static void closing_kills_the_whole_session(void **state)
{
	struct host cleanup_host h = host_new();
	/* With job control the second process has a group of its own. */
	struct proto_msg m =
		EXEC("bash", "-c",
	             "set -m; trap '' HUP TERM; sleep 50 & echo $!; wait");
	uint64_t pid, end = clock_now_ns() + TIME_LIMIT_NS;

	(void)state;
	put(&h, &m);
	while (!strchr(buf_str(&h.out), '\n') && !h.cut)
		step(&h);
	h.out.data[h.out.len - 1] = '\0';
	assert_true(num_parse_u64(buf_str(&h.out), INT32_MAX, &pid));
	assert_int_equal(kill((pid_t)pid, 0), 0);
	close_fd(&h.fd);
	while ((kill((pid_t)pid, 0) == 0 || kill((pid_t)h.pid, 0) == 0) &&
	       clock_now_ns() < end)
		assert_int_equal(loop_step(loop, 1), 0);
	assert_int_equal(kill((pid_t)pid, 0), -1);
	assert_int_equal(kill((pid_t)h.pid, 0), -1);
	assert_int_equal(server.nsessions, 0);
}

static void hostile_frames_end_their_session_only(void **state)
{
	static const uint8_t big[PROTO_DATA_MAX + 1];
	struct host cleanup_host good = host_new();
	struct proto_msg cat = EXEC("cat"), sleeper = EXEC("sleep", "100");

	(void)state;
	cat.exec.want_stdin = 1;
	put(&good, &cat);
	until_started(&good);
	for (int i = 0; i < 9; i++) {
		struct host cleanup_host h = host_new();
		struct proto_msg m = {.type = PROTO_PING};

		sleeper.exec.want_stdin = i >= 6;
		if (i >= 3)
			put(&h, &sleeper);
		if (i == 0)
			(void)send(h.fd, "garbage garbage", 15, MSG_NOSIGNAL);
		else if (i == 1 || i == 8)
			put_signal(&h, i == 1 ? SIGTERM : 65);
		else if (i == 2 || i == 3)
			put(&h, &m);
		else if (i == 4)
			put(&h, &sleeper);
		else if (i == 5)
			put_stdin(&h, "x", 1);
		else if (i == 6)
			put_stdin(&h, big, sizeof(big));
		for (int k = 0; i == 7 && k < 12; k++)
			put_stdin(&h, big, PROTO_DATA_MAX);
		until_end(&h);
		assert_false(h.done);
	}
	assert_int_equal(server.nsessions, 1);
	put_stdin(&good, "still here", 10);
	put_stdin(&good, "", 0);
	until_end(&good);
	assert_string_equal(buf_str(&good.out), "still here");
}

static void drop_all(struct host *h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		host_release(&h[i]);
	for (int i = 0; i < 1000 && server.nsessions; i++)
		assert_int_equal(loop_step(loop, 1), 0);
	assert_int_equal(server.nsessions, 0);
	assert_int_equal(server.nrefused, 0);
}

static void sessions_are_bounded(void **state)
{
	struct host h[SERVER_SESSIONS_MAX];
	struct host cleanup_host late = {.fd = -1}, cleanup_host next = late;
	const struct proto_msg m = EXEC("/bin/true");

	(void)state;
	for (size_t i = 0; i < SERVER_SESSIONS_MAX; i++)
		h[i] = host_new();
	late = host_new();
	run(&late, &m);
	assert_true(late.failed);
	assert_int_equal(late.error, EAGAIN);
	assert_string_equal(late.stage, "fork");
	assert_non_null(strstr(late.message, "runs 256 commands"));
	/* Those that are served go on, and one that ends makes room. */
	run(&h[0], &m);
	assert_int_equal(h[0].exited.code, 0);
	next = host_new();
	run(&next, &m);
	assert_false(next.failed);
	drop_all(h, SERVER_SESSIONS_MAX);
}

static void who_wants_files_is_told_of_the_bound(void **state)
{
	struct host h[SERVER_SESSIONS_MAX];
	struct host cleanup_host late = {.fd = -1};
	struct proto_msg m = {
		.type = PROTO_FILE_REQ,
		.file_req = {.op = PROTO_FILE_STAT, .path = "/", .path2 = ""}
        };
	struct proto_msg cleanup_proto answer = {0};
	uint8_t data[512];
	ssize_t n = -1;

	(void)state;
	for (size_t i = 0; i < SERVER_SESSIONS_MAX; i++)
		h[i] = host_new();
	late = host_new();
	put(&late, &m);
	for (int i = 0; i < 1000 && n < 0; i++) {
		assert_int_equal(loop_step(loop, 1), 0);
		n = recv(late.fd, data, sizeof(data), 0);
	}
	assert_true(n > 0);
	assert_int_equal(proto_decode(data, (size_t)n, &answer), n);
	assert_int_equal(answer.type, PROTO_FILE_DONE);
	assert_int_equal(answer.file_done.error, EAGAIN);
	assert_non_null(strstr(answer.file_done.message, "runs 256 commands"));
	drop_all(h, SERVER_SESSIONS_MAX);
}

static void those_who_are_told_so_are_bounded_too(void **state)
{
	struct host h[SERVER_SESSIONS_MAX + SERVER_REFUSED_MAX];
	int s[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(h); i++)
		h[i] = host_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_int_equal(server_adopt(&server, s[1]), -EAGAIN);
	(void)close(s[0]);
	drop_all(h, ARRAY_SIZE(h));
}

/* Its turn came too late. */
static void a_command_that_nobody_waits_for_is_not_started(void **state)
{
	struct host cleanup_host h = host_new();
	struct proto_msg m = EXEC("/bin/sleep", "100");

	(void)state;
	put(&h, &m);
	close_fd(&h.fd);
	assert_int_equal(server.nsessions, 1);
	assert_int_equal(loop_step(loop, 1000), 0);
	assert_int_equal(server.nsessions, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void thousand_sessions_leak_nothing(void **state)
{
	size_t before = open_fds();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct host cleanup_host h = host_new();
		struct proto_msg m = EXEC("/bin/true");

		m.exec.want_stdin = i & 1;
		run(&h, &m);
		assert_int_equal(h.exited.code, 0);
	}
	assert_int_equal(server.nsessions, 0);
	assert_int_equal(open_fds(), before);
}

static int set_up(void **state)
{
	struct err err = {0};

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	/* As PID 1: orphans come to us. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_non_null(mkdtemp(folder));
	(void)snprintf(passwd_path, sizeof(passwd_path), "%s/passwd", folder);
	(void)snprintf(group_path, sizeof(group_path), "%s/group", folder);
	write_text(passwd_path,
	           "root:x:0:0:root:/h/root:/bin/sh\n"
	           "www:x:33:33::/var/www:/bin/false\n",
	           0644);
	write_text(group_path, "www:x:33:\nextra:x:44:a,www\n", 0644);
	loop = loop_new();
	assert_non_null(loop);
	assert_int_equal(server_init(&server, loop, NULL, NULL), 0);
	assert_int_equal(server_open_env(&server, &err), 0);
	server.env.child.passwd_path = passwd_path;
	server.env.child.group_path = group_path;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	server_release(&server);
	loop_free(loop);
	return dir_remove(AT_FDCWD, folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_is_apart_and_the_code_is_told),
		cmocka_unit_test(arguments_arrive_as_they_are),
		cmocka_unit_test(missing_environment_is_filled),
		cmocka_unit_test(working_folder_is_made),
		cmocka_unit_test(ten_mib_pass_through_cat),
		cmocka_unit_test(input_nobody_reads_is_acknowledged),
		cmocka_unit_test(without_stdin_there_is_dev_null),
		cmocka_unit_test(signals_reach_the_group),
		cmocka_unit_test(early_signal_waits_for_the_command),
		cmocka_unit_test(failures_name_their_stage),
		cmocka_unit_test(command_runs_as_the_named_user),
		cmocka_unit_test(limits_are_set),
		cmocka_unit_test(terminal_has_the_size_and_follows_it),
		cmocka_unit_test(slow_host_stops_the_command),
		cmocka_unit_test(background_process_does_not_hold_the_session),
		cmocka_unit_test(closing_kills_the_whole_session),
		cmocka_unit_test(hostile_frames_end_their_session_only),
		cmocka_unit_test(sessions_are_bounded),
		cmocka_unit_test(who_wants_files_is_told_of_the_bound),
		cmocka_unit_test(those_who_are_told_so_are_bounded_too),
		cmocka_unit_test(
			a_command_that_nobody_waits_for_is_not_started),
		cmocka_unit_test(thousand_sessions_leak_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
