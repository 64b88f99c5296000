/* The library against an agent that does as it likes: what it sends is here. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/copy.h"
#include "lib/copy_tar.h"
#include "lib/files.h"

static char folder[] = "/tmp/msb-libfiles-XXXXXX";

#define ENTRY(path_, target_, kind_, mode_)                                    \
	{                                                                      \
		.type = PROTO_FILE_ENTRY, .file_entry = {                      \
			.path = (path_),                                       \
			.target = (target_),                                   \
			.kind = (kind_),                                       \
			.mode = (mode_),                                       \
			.size = 4,                                             \
			.allocated = 4                                         \
		}                                                              \
	}
#define DATA(off_, n_)                                                         \
	{                                                                      \
		.type = PROTO_FILE_DATA, .file_data = {                        \
			.offset = (off_),                                      \
			.data = {text, (n_)}                                   \
		}                                                              \
	}
#define DONE(error_, message_)                                                 \
	{                                                                      \
		.type = PROTO_FILE_DONE, .file_done = {                        \
			.error = (error_),                                     \
			.message = (message_)                                  \
		}                                                              \
	}
#define DIR_  (S_IFDIR | 0755)
#define FILE_ (S_IFREG | 0644)

static const uint8_t text[] = "abcdefgh";

/* A call to which all of the answer is there already. */
static int call(struct files_call *c, int sock_of_agent[1],
                const struct proto_msg *msgs, size_t n)
{
	const struct proto_file_req req = {.path = "x", .path2 = ""};
	struct buf cleanup_buf b = BUF_INIT;
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s),
	                 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(proto_encode(&b, &msgs[i]), 0);
	assert_int_equal(fd_write_full(s[1], b.data, b.len), 0);
	*sock_of_agent = s[1];
	(void)shutdown(s[1], SHUT_WR);
	return files_call_begin(c, NULL, s[0], &req, NULL);
}

static int list(const struct proto_msg *msgs, size_t n, size_t *ret_n)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct msb_file_list *l = NULL;
	int agent, r = call(&c, &agent, msgs, n);

	if (r == 0)
		r = files_list(&c, &l, NULL);
	if (r == 0) {
		*ret_n = msb_file_list_count(l);
		for (size_t i = 0; i < *ret_n; i++)
			assert_null(strchr(msb_file_list_get(l, i)->path, '/'));
		assert_null(msb_file_list_get(l, *ret_n));
		msb_file_list_free(l);
	}
	(void)close(agent);
	return r;
}

static void names_of_a_list_are_names(void **state)
{
	static const char *const bad[] = {"",     ".",   "..", "/x",
	                                  "../x", "a/b", "x/"};
	const struct proto_msg good[] = {ENTRY("a", "", 0, FILE_),
	                                 ENTRY("b\n\x1b", "t", 0, S_IFLNK),
	                                 DONE(0, "")};
	size_t n = 0;

	(void)state;
	assert_int_equal(list(good, 3, &n), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct proto_msg msgs[] = {ENTRY(bad[i], "", 0, FILE_),
		                                 DONE(0, "")};

		assert_int_equal(list(msgs, 2, &n), -EPROTO);
	}
	assert_int_equal(list(good, 2, &n), -ECONNRESET);
	assert_int_equal(list(good, 0, &n), -ECONNRESET);
}

static void an_error_of_the_guest_is_a_number_and_words(void **state)
{
	static const struct {
		int32_t said;
		int r;
	} cases[] = {
		{ENOENT,    -ENOENT},
		{-5,        -EPROTO},
		{INT32_MAX, -EPROTO},
		{INT32_MIN, -EPROTO}
        };
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct proto_file_done d = {.error = cases[i].said,
		                                  .message = "why"};

		assert_int_equal(files_call_result(&d, &err), cases[i].r);
		assert_string_equal(err.msg, "why");
	}
}

static int64_t get(const struct proto_msg *msgs, size_t n, uint8_t *out,
                   size_t len)
{
	struct msb_file_opts o = MSB_FILE_OPTS_INIT;
	struct buf cleanup_buf b = BUF_INIT;
	struct msb_error error;
	struct msb_file *f = NULL;
	int64_t got = 0, sum = 0;
	int s[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s),
	                 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(proto_encode(&b, &msgs[i]), 0);
	assert_int_equal(fd_write_full(s[1], b.data, b.len), 0);
	(void)shutdown(s[1], SHUT_WR);
	o.mode = MSB_FILE_READ;
	r = files_open(NULL, s[0], "x", &o, &f, NULL);
	if (r == 0) {
		while ((size_t)sum < len &&
		       (got = msb_file_get(f, out + sum, len - (size_t)sum,
		                           &error)) > 0)
			sum += got;
		if (got < 0) /* and again the same */
			assert_int_equal(msb_file_get(f, out, len, NULL), got);
		msb_file_close(f);
		r = got < 0 ? -error.sys_errno : 0;
	}
	(void)close(s[1]);
	return r < 0 ? r : sum;
}

static void content_is_put_together_with_its_holes(void **state)
{
	const struct proto_msg msgs[] = {ENTRY("", "", 0, FILE_), DATA(2, 3),
	                                 DATA(7, 1), DATA(10, 0), DONE(0, "")};
	const struct proto_msg back[] = {ENTRY("", "", 0, FILE_), DATA(2, 3),
	                                 DATA(4, 1), DATA(10, 0), DONE(0, "")};
	const struct proto_msg far[] = {ENTRY("", "", 0, FILE_),
	                                DATA(UINT64_MAX - 1, 3), DONE(0, "")};
	const struct proto_msg failed[] = {ENTRY("", "", 0, FILE_), DATA(0, 1),
	                                   DONE(EIO, "broken")};
	const struct proto_msg early[] = {ENTRY("", "", 0, FILE_), DATA(0, 1),
	                                  DONE(0, "")};
	const struct proto_msg none[] = {DONE(0, "")};
	uint8_t out[100];

	(void)state;
	memset(out, 'x', sizeof(out));
	assert_int_equal(get(msgs, 5, out, sizeof(out)), 10);
	assert_memory_equal(out, "\0\0abc\0\0a\0\0", 10);
	assert_int_equal(get(back, 5, out, sizeof(out)), -EPROTO);
	assert_int_equal(get(far, 3, out, sizeof(out)), -EPROTO);
	assert_int_equal(get(failed, 3, out, sizeof(out)), -EIO);
	assert_int_equal(get(early, 3, out, sizeof(out)), -EPROTO);
	assert_int_equal(get(none, 1, out, sizeof(out)), -EPROTO);
	assert_int_equal(get(msgs, 2, out, sizeof(out)), -ECONNRESET);
	assert_int_equal(get(msgs, 0, out, sizeof(out)), -ECONNRESET);
}

static int copy(const struct proto_msg *msgs, size_t n)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct files_source src;
	struct copy_meter m;
	int agent, r;

	(void)dir_remove(AT_FDCWD, "t");
	assert_int_equal(mkdir("t", 0755), 0);
	assert_int_equal(file_write_atomic(AT_FDCWD, "secret", "host", 4, 0600),
	                 0);
	assert_int_equal(files_source_parse("/a/src", &src, NULL), 0);
	assert_int_equal(copy_meter_init(&m, NULL, NULL), 0);
	r = call(&c, &agent, msgs, n);
	if (r == 0)
		r = copy_receive(&c, &src, "t", &m, NULL);
	(void)close(agent);
	return r;
}

static void a_tree_that_leads_out_is_refused(void **state)
{
	const struct proto_msg good[] = {ENTRY("", "", 0, DIR_),
	                                 ENTRY("f", "", 0, FILE_), DATA(0, 4),
	                                 DATA(4, 0), DONE(0, "")};
	const struct proto_msg link[] = {ENTRY("", "", 0, DIR_),
	                                 ENTRY("l", "../..", 0, S_IFLNK | 0777),
	                                 ENTRY("l/secret", "", 0, FILE_),
	                                 DATA(0, 4),
	                                 DATA(4, 0),
	                                 DONE(0, "")};
	static const char *const bad[] = {"../x", "/x", "a/../../x", ".."};
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	assert_int_equal(copy(good, 5), 0);
	assert_int_equal(access("t/src/f", F_OK), 0);
	assert_true(copy(link, 6) < 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct proto_msg msgs[] = {
			ENTRY("", "", 0, DIR_), ENTRY(bad[i], "", 0, FILE_),
			DATA(0, 4), DATA(4, 0), DONE(0, "")};
		const struct proto_msg hard[] = {
			ENTRY("", "", 0, DIR_),
			ENTRY("h", bad[i], PROTO_FILE_HARDLINK, FILE_),
			DONE(0, "")};

		assert_int_equal(copy(msgs, 5), -EPROTO);
		assert_int_equal(copy(hard, 3), -EPROTO);
	}
	/* a file for a folder's place, and half of one */
	assert_int_equal(copy(good, 3), -ECONNRESET);
	assert_int_equal(access("t/src/f", F_OK), -1);
	assert_int_equal(file_read(AT_FDCWD, "secret", &b), 0);
	assert_string_equal(buf_str(&b), "host");
}

static int put_buf(void *arg, const void *data, size_t len, struct err *err)
{
	(void)err;
	return buf_add(arg, data, len);
}

static int tar(const struct proto_msg *msgs, size_t n, bool layer,
               struct buf *b)
{
	struct files_call cleanup_files_call c = FILES_CALL_INIT;
	struct copy_tar t = {
		.put = put_buf, .arg = b, .name = "src", .layer = layer};
	struct files_sink sink = copy_tar_sink(&t);
	int agent, r = call(&c, &agent, msgs, n);

	buf_reset(b);
	if (r == 0)
		r = files_call_receive(&c, &sink, NULL, NULL);
	if (r == 0)
		r = copy_tar_finish(&t, NULL);
	copy_tar_release(&t);
	(void)close(agent);
	return r;
}

static void an_archive_is_as_long_as_its_headers_say(void **state)
{
	const struct proto_msg grown[] = {ENTRY("", "", 0, FILE_), DATA(0, 8),
	                                  DATA(1000, 8), DATA(2000, 0),
	                                  DONE(0, "")};
	const struct proto_msg shrunk[] = {ENTRY("", "", 0, FILE_), DATA(0, 1),
	                                   DATA(1, 0), DONE(0, "")};
	struct proto_msg holes[] = {ENTRY("", "", 0, FILE_), DONE(0, "")};
	struct proto_msg lied[] = {ENTRY("", "", 0, FILE_), DATA(0, 0),
	                           DONE(0, "")};
	const struct proto_msg white[] = {
		ENTRY("", "", 0, DIR_), ENTRY("d", "", PROTO_FILE_OPAQUE, DIR_),
		ENTRY("d/f", "", PROTO_FILE_WHITEOUT, S_IFCHR), DONE(0, "")};
	const struct proto_msg reserved[] = {ENTRY("", "", 0, DIR_),
	                                     ENTRY("d/.wh.x", "", 0, DIR_),
	                                     DONE(0, "")};
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	assert_int_equal(tar(grown, 5, false, &b), 0);
	assert_int_equal(b.len, 512 + 512 + 1024);
	assert_memory_equal(b.data + 512, "abcd\0", 5);
	assert_int_equal(tar(shrunk, 4, false, &b), -EBUSY);
	assert_int_equal(b.len, 512 + 512 + 1024);
	holes[0].file_entry.size = 1ULL << 40;
	assert_int_equal(tar(holes, 2, false, &b), -EFBIG);
	/* "All of it has its room": but then nothing comes. */
	lied[0].file_entry.size = lied[0].file_entry.allocated = 1ULL << 40;
	assert_int_equal(tar(lied, 3, false, &b), -EFBIG);
	assert_true(b.len <= 2048); /* headers */
	assert_int_equal(tar(white, 4, false, &b), -EPROTO);
	assert_int_equal(tar(white, 4, true, &b), 0);
	assert_int_equal(b.len, 4 * 512 + 1024);
	assert_string_equal(b.data + 2 * 512, "d/.wh..wh..opq");
	assert_string_equal(b.data + 3 * 512, "d/.wh.f");
	assert_int_equal(tar(reserved, 3, true, &b), -EINVAL);
}

static void a_writer_hears_of_an_early_end(void **state)
{
	const struct proto_msg msgs[] = {DONE(ENOSPC, "full")};
	struct msb_file_opts o = MSB_FILE_OPTS_INIT;
	struct buf cleanup_buf b = BUF_INIT;
	struct msb_error error = {0};
	struct msb_file *f = NULL;
	int s[2], r = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s),
	                 0);
	o.mode = MSB_FILE_WRITE;
	assert_int_equal(files_open(NULL, s[0], "x", &o, &f, NULL), 0);
	assert_int_equal(msb_file_put(f, text, 4, &error), 0);
	assert_int_equal(proto_encode(&b, &msgs[0]), 0);
	assert_int_equal(fd_write_full(s[1], b.data, b.len), 0);
	r = msb_file_put(f, text, 4, &error);
	assert_int_equal(r, -MSB_ERR_NO_SPACE);
	assert_string_equal(error.message, "full");
	assert_int_equal(msb_file_finish(f, &error), -MSB_ERR_NO_SPACE);
	msb_file_close(f);
	(void)close(s[1]);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	(void)!chdir("/");
	return dir_remove(AT_FDCWD, folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_a_list_are_names),
		cmocka_unit_test(an_error_of_the_guest_is_a_number_and_words),
		cmocka_unit_test(content_is_put_together_with_its_holes),
		cmocka_unit_test(a_tree_that_leads_out_is_refused),
		cmocka_unit_test(an_archive_is_as_long_as_its_headers_say),
		cmocka_unit_test(a_writer_hears_of_an_early_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
