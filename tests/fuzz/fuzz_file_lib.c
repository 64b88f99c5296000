/*
 * What a guest's agent may send to the library in a file session. The first
 * byte says what was asked; its top bit, whether the rest are bytes as they
 * are or numbers of which whole messages are made (which go further: names
 * from a small set, so that they meet). A tree is written below a folder
 * beside which lies a file: it must be as it was, and alone.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "files/walk.h"
#include "lib/copy.h"
#include "lib/copy_tar.h"
#include "lib/error.h"
#include "lib/files.h"
#include "lib/sandbox.h"

/* The session has no sandbox here; these are never called. */
struct msb_sandbox *sandbox_ref(struct msb_sandbox *sb)
{
	(void)sb;
	abort();
}

void sandbox_unref(struct msb_sandbox *sb)
{
	(void)sb;
	abort();
}

int sandbox_connect(struct msb_sandbox *sb, uint32_t port)
{
	(void)sb;
	(void)port;
	abort();
}

int sandbox_lost(struct msb_sandbox *sb, struct err *err)
{
	(void)sb;
	(void)err;
	abort();
}

static char folder[] = "/dev/shm/fuzz-file-lib-XXXXXX";

static void go_away(void)
{
	(void)!chdir("/");
	(void)dir_remove(AT_FDCWD, folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (!mkdtemp(folder))
		abort();
	return atexit(go_away);
}

/* ---- messages of numbers ------------------------------------------------- */

static const char *const names[] = {
	"",    "a", "b",   "a/b",   "a/b/c", "l",         "l/a",     "l/secret",
	"b/a", "d", "d/e", "d/e/f", "..",    "../secret", "/secret", "a//b",
};
static const char *const targets[] = {
	"",         "..",  "../secret",       "a",      "/tmp",
	".",        "a/b", "../../secret",    "secret", "l",
	"b",        "d/e", "/proc/self/root", "..",     "x",
	"l/secret",
};
static const uint32_t modes[] = {
	S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777, S_IFREG | 06755,
	S_IFDIR | 0,    S_IFIFO | 0600, S_IFCHR | 0666, S_IFDIR | 01777,
};

struct input {
	const uint8_t *p;
	size_t n;
};

static uint8_t next(struct input *in)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++;
}

static void cook_entry(struct input *in, struct buf *out)
{
	uint8_t name = next(in), type = next(in), target = next(in);
	struct proto_msg m = {
		.type = PROTO_FILE_ENTRY,
		.file_entry = {.path = names[name % ARRAY_SIZE(names)],
	                       .target = targets[target % ARRAY_SIZE(targets)],
	                       .mode = modes[type % ARRAY_SIZE(modes)],
	                       .kind = (type >> 3) % 5 == 4 ? 0
	                                                    : (type >> 3) % 5,
	                       .nlink = 1 + (type >> 7),
	                       .size = target,
	                       .allocated = target}
        };

	(void)proto_encode(out, &m);
}

static void cook_data(struct input *in, struct buf *out)
{
	static const uint8_t bytes[256] = "guest";
	uint64_t off = (uint64_t)next(in) << (next(in) % 64);
	struct proto_msg m = {
		.type = PROTO_FILE_DATA,
		.file_data = {.offset = off, .data = {bytes, next(in)}}
        };

	(void)proto_encode(out, &m);
}

static void cook(struct input *in, struct buf *out)
{
	while (in->n > 0 && out->len < (128u << 10)) {
		uint8_t what = next(in);
		struct proto_msg done = {
			.type = PROTO_FILE_DONE,
			.file_done = {.error = what >> 6, .message = "x"}
                };

		if (what % 16 == 15)
			(void)proto_encode(out, &done);
		else if (what % 2)
			cook_data(in, out);
		else
			cook_entry(in, out);
	}
}

/* ---- what is asked ------------------------------------------------------- */

static void ask_stat(struct files_call *c)
{
	struct msb_file_info info;
	char *text = NULL;

	if (files_stat(c, &info, &text, NULL) == 0 &&
	    strlen(info.path) + strlen(info.target) > PROTO_FRAME_MAX)
		abort();
	free(text);
}

static void ask_list(struct files_call *c)
{
	struct msb_file_list *l = NULL;

	if (files_list(c, &l, NULL) == 0)
		for (size_t i = 0; i < msb_file_list_count(l); i++)
			if (strchr(msb_file_list_get(l, i)->path, '/'))
				abort();
	msb_file_list_free(l);
}

/* A place as the guest wants it, but a tree of one level: clear it after. */
static void ask_tree(struct files_call *c)
{
	struct files_source src = {.path = "x", .name = "src"};
	struct buf cleanup_buf b = BUF_INIT;
	struct files_names n;
	struct copy_meter m;
	struct stat st;

	if (chdir(folder) < 0 || mkdir("t", 0755) < 0 || mkdir("t/d", 0755) ||
	    symlink("..", "t/d/out") < 0 ||
	    file_write_atomic(AT_FDCWD, "secret", "host", 4, 0600) < 0)
		abort();
	(void)copy_meter_init(&m, NULL, NULL);
	src.content = c->sock % 2;
	(void)copy_receive(c, &src, "t", &m, NULL);
	if (file_read(AT_FDCWD, "secret", &b) < 0 || b.len != 4 ||
	    memcmp(b.data, "host", 4) != 0 || lstat("secret", &st) < 0 ||
	    st.st_nlink != 1 || (st.st_mode & 07777) != 0600 ||
	    files_names_read(open(".", O_RDONLY | O_DIRECTORY), &n) < 0 ||
	    n.n != 2)
		abort();
	files_names_release(&n);
	if (dir_remove(AT_FDCWD, "t") < 0 && chmod("t", 0755) < 0)
		abort();
}

static int put_nowhere(void *arg, const void *data, size_t len, struct err *err)
{
	uint64_t *sum = arg;

	(void)data;
	*sum += len;
	/* a hole may be long: an archive's reader has had enough of it */
	return *sum > (1u << 20) ? err_set(err, -EPIPE, "enough") : 0;
}

static void ask_tar(struct files_call *c, bool layer)
{
	uint64_t sum = 0;
	struct copy_tar t = {
		.put = put_nowhere, .arg = &sum, .name = "src", .layer = layer};
	struct files_sink sink = copy_tar_sink(&t);

	if (files_call_receive(c, &sink, NULL, NULL) == 0 &&
	    copy_tar_finish(&t, NULL) == 0 && sum % 512)
		abort();
	copy_tar_release(&t);
}

static void ask_content(int sock)
{
	struct msb_file_opts o = MSB_FILE_OPTS_INIT;
	struct msb_file *f = NULL;
	char out[4096];
	int64_t n = 1;

	o.mode = MSB_FILE_READ;
	if (files_open(NULL, sock, "x", &o, &f, NULL) < 0)
		return;
	for (int i = 0; i < 100 && n > 0; i++)
		n = msb_file_get(f, out, sizeof(out), NULL);
	msb_file_close(f);
}

static void ask(uint8_t what, int sock)
{
	const struct proto_file_req req = {.path = "x", .path2 = ""};
	struct files_call c = FILES_CALL_INIT;

	if (what % 6 == 0) {
		ask_content(sock);
		return;
	}
	if (files_call_begin(&c, NULL, sock, &req, NULL) == 0) {
		if (what % 6 == 1)
			ask_stat(&c);
		else if (what % 6 == 2)
			ask_list(&c);
		else if (what % 6 == 3)
			ask_tree(&c);
		else
			ask_tar(&c, what % 6 == 5);
	}
	files_call_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct input in = {data, size};
	uint8_t what = next(&in);
	int s[2], room = 1 << 20;

	if (size == 0 || size > (64u << 10) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return 0;
	(void)setsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (what & 0x80)
		cook(&in, &b);
	else
		(void)buf_add(&b, in.p, in.n);
	if (b.len == 0 ||
	    send(s[1], b.data, b.len, MSG_DONTWAIT) == (ssize_t)b.len) {
		(void)shutdown(s[1], SHUT_WR);
		ask(what & 0x7f, s[0]);
	} else {
		(void)close(s[0]);
	}
	(void)close(s[1]);
	return 0;
}
