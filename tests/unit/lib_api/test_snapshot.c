/* Snapshots and forks: their files, step by step. */
#include "snapshots.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/digest.h"
#include "lib/disk_tree.h"

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	open_home(f, fast_folder());
	must(f, make(f, "a", NULL, BYTES));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	close_home(*state);
	free(*state);
	return 0;
}

/* ---- content ------------------------------------------------------------- */

static void all_go_on_apart_from_each_other(void **state)
{
	struct fixture *f = *state;

	write_text(f, "a", SPOT, "before");
	must(f, snap(f, "a", "s", 0));
	assert_string_equal(read_text(f, "a", SPOT), "before");
	must(f, make(f, "b", "s", 0));
	must(f, make(f, "c", "s", 0));
	write_text(f, "a", SPOT, "of a");
	write_text(f, "b", SPOT, "of b");
	write_text(f, "b", SPOT + 4096, "more of b");
	assert_string_equal(read_text(f, "a", SPOT), "of a");
	assert_string_equal(read_text(f, "b", SPOT), "of b");
	assert_string_equal(read_text(f, "c", SPOT), "before");
	assert_string_equal(read_text(f, "c", SPOT + 4096), "");
	assert_string_equal(read_text(f, "a", SPOT + 4096), "");
	must(f, make(f, "d", "s", 0));
	assert_string_equal(read_text(f, "d", SPOT), "before");
}

static void no_data_is_copied(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = malloc(6 * MIB);
	uint64_t before, after = 0;
	struct stat st;
	char path[128];
	struct place cleanup_place p = PLACE_INIT;
	struct disk_chain cleanup_disk_chain c = {0};

	memset(data, 0x5a, 6 * MIB);
	put(f, "a", SPOT, data, 6 * MIB);
	free(data);
	place_of(f, "a", &p);
	before = place_disk_bytes(&p);
	must(f, snap(f, "a", "s", 0));
	for (char name[2] = "b"; *name < 'l'; name[0]++) {
		struct place cleanup_place q = PLACE_INIT;

		must(f, make(f, name, "s", 0));
		place_of(f, name, &q);
		after += place_disk_bytes(&q);
	}
	after += place_disk_bytes(&p) + look_in(f, "disks", true);
	assert_in_range(after, before, before + 12 * 64 * KIB);
	/* Nobody writes to it by mistake. */
	chain_of(f, "b", &c);
	(void)snprintf(path, sizeof(path), "%s/disks/%s", f->path,
	               c.layers.v[0]);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_int_equal(st.st_nlink, 1);
}

static void data_stays_for_as_long_as_somebody_needs_it(void **state)
{
	struct fixture *f = *state;

	write_text(f, "a", SPOT, "kept");
	must(f, snap(f, "a", "s", 0));
	must(f, make(f, "b", "s", 0));
	assert_int_equal(count(f, "disks"), 1);
	must(f, msb_snapshot_remove(f->home, "s", &f->error));
	must(f, msb_sandbox_remove(f->home, "a", 0, &f->error));
	assert_int_equal(count(f, "snapshots"), 0);
	assert_int_equal(count(f, "disks"), 1);
	assert_string_equal(read_text(f, "b", SPOT), "kept");
	must(f, msb_sandbox_remove(f->home, "b", 0, &f->error));
	assert_int_equal(count(f, "disks"), 0);
}

static void its_image_stays_with_it(void **state)
{
	struct fixture *f = *state;
	uint64_t freed;
	uint32_t names;

	write_text(f, "a", SPOT, "kept");
	must(f, snap(f, "a", "s", 0));
	must(f, msb_sandbox_remove(f->home, "a", 0, &f->error));
	must(f, msb_image_prune(f->home, 1, &freed, &names, &f->error));
	must(f, make(f, "b", "s", 0));
	assert_string_equal(read_text(f, "b", SPOT), "kept");
	must(f, msb_snapshot_remove(f->home, "s", &f->error));
	must(f, msb_sandbox_remove(f->home, "b", 0, &f->error));
	must(f, msb_image_prune(f->home, 1, &freed, &names, &f->error));
	assert_true(freed > 0);
}

static void a_deep_chain_is_copied_into_one(void **state)
{
	struct fixture *f = *state;
	size_t deepest = 0;

	for (unsigned i = 0; i < 2 * DISKS_DEPTH_MAX + 3; i++) {
		struct disk_chain cleanup_disk_chain c = {0};
		char text[32], name[32];

		(void)snprintf(text, sizeof(text), "generation %u", i);
		(void)snprintf(name, sizeof(name), "s%u", i);
		write_text(f, "a", SPOT + i * 4096, text);
		must(f, snap(f, "a", name, 0));
		chain_of(f, "a", &c);
		deepest = MAX(deepest, c.layers.n);
	}
	assert_int_equal(deepest, DISKS_DEPTH_MAX);
	for (unsigned i = 0; i < 2 * DISKS_DEPTH_MAX + 3; i++) {
		char text[32], name[32];

		(void)snprintf(text, sizeof(text), "generation %u", i);
		(void)snprintf(name, sizeof(name), "s%u", i);
		assert_string_equal(read_text(f, "a", SPOT + i * 4096), text);
		must(f, make(f, "fork", name, 0));
		assert_string_equal(read_text(f, "fork", SPOT + i * 4096),
		                    text);
		assert_string_equal(read_text(f, "fork", SPOT + (i + 1) * 4096),
		                    "");
		must(f, msb_sandbox_remove(f->home, "fork", 0, &f->error));
		must(f, msb_snapshot_remove(f->home, name, &f->error));
	}
	must(f, msb_sandbox_remove(f->home, "a", 0, &f->error));
	assert_int_equal(count(f, "disks"), 0);
}

static void a_disk_only_grows(void **state)
{
	struct fixture *f = *state;
	struct msb_modify_opts o = MSB_MODIFY_OPTS_INIT;
	struct place cleanup_place p = PLACE_INIT;
	struct upper cleanup_upper u = {0}, cleanup_upper v = {0};

	write_text(f, "a", SPOT, "before");
	must(f, snap(f, "a", "s", 0));
	assert_int_equal(make(f, "b", "s", BYTES - 4096), -MSB_ERR_INVALID);
	must(f, make(f, "b", "s", 2 * BYTES));
	place_of(f, "b", &p);
	assert_int_equal(
		upper_open(f->home->store, &p, 2 * BYTES, false, &u, NULL), 0);
	assert_int_equal(u.bytes, 2 * BYTES);
	/* Below the new end nothing was. */
	assert_string_equal(read_text(f, "b", 2 * BYTES - 4096), "");
	write_text(f, "b", 2 * BYTES - 4096, "end");
	assert_string_equal(read_text(f, "b", 2 * BYTES - 4096), "end");
	/* Later, too, far beyond what one table of the file knows. */
	o.upper_bytes = 3 * GIB;
	must(f, msb_sandbox_modify(f->home, "b", &o, NULL, &f->error));
	assert_int_equal(
		upper_open(f->home->store, &p, 3 * GIB, false, &v, NULL), 0);
	assert_int_equal(v.bytes, 3 * GIB);
	assert_string_equal(read_text(f, "b", 2 * BYTES - 4096), "end");
	assert_string_equal(read_text(f, "b", SPOT), "before");
	write_text(f, "b", 3 * GIB - 4096, "new end");
	assert_string_equal(read_text(f, "b", 3 * GIB - 4096), "new end");
}

/* Whatever a guest writes at its beginning. */
static void a_raw_disk_stays_raw(void **state)
{
	struct fixture *f = *state;
	struct disk_chain cleanup_disk_chain c = {0};
	uint8_t head[4096] = "QFI\xfb\0\0\0\3";

	head[15] = 104; /* a backing file's name */
	(void)snprintf((char *)head + 104, 64, "/etc/passwd");
	put(f, "a", 0, head, sizeof(head));
	must(f, snap(f, "a", "s", 0));
	must(f, make(f, "b", "s", 0));
	assert_memory_equal(read_text(f, "b", 0), head, sizeof(head) - 1);
	chain_of(f, "b", &c);
	assert_int_equal(c.layers.n, 1);
	assert_string_equal(strrchr(c.layers.v[0], '.'), ".raw");
}

static void a_changed_byte_is_found(void **state)
{
	struct fixture *f = *state;
	struct disk_chain cleanup_disk_chain c = {0};
	char path[128];
	int fd;

	write_text(f, "a", SPOT, "right");
	must(f, snap(f, "a", "s", MSB_SNAPSHOT_INTEGRITY));
	must(f, snap(f, "a", "plain", 0));
	must(f, msb_snapshot_verify(f->home, "s", &f->error));
	assert_int_equal(msb_snapshot_verify(f->home, "plain", &f->error),
	                 -MSB_ERR_UNSUPPORTED);
	must(f, make(f, "b", "s", 0));
	chain_of(f, "b", &c);
	(void)snprintf(path, sizeof(path), "%s/disks/%s", f->path,
	               c.layers.v[0]);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "w", 1, SPOT), 1);
	(void)close(fd);
	assert_int_equal(msb_snapshot_verify(f->home, "s", &f->error),
	                 -MSB_ERR_DIGEST);
	assert_int_equal(
		msb_snapshot_save(f->home, "s", "/dev/null", 0, &f->error),
		-MSB_ERR_DIGEST);
}

/* The same content, however it lies on the host, has one digest. */
static void the_digest_is_of_the_content_alone(void **state)
{
	struct fixture *f = *state;
	struct msb_snapshots *x, *y;
	static uint8_t zeros[128 * KIB];

	write_text(f, "a", SPOT, "same");
	put(f, "a", SPOT + 1 * MIB, zeros, sizeof(zeros));
	must(f, snap(f, "a", "x", MSB_SNAPSHOT_INTEGRITY));
	write_text(f, "a", SPOT + 2 * MIB, "other");
	put(f, "a", SPOT + 2 * MIB, zeros, 4096);
	must(f, snap(f, "a", "y", MSB_SNAPSHOT_INTEGRITY));
	must(f, msb_snapshot_list(f->home, "x", &x, &f->error));
	must(f, msb_snapshot_list(f->home, "y", &y, &f->error));
	assert_string_equal(msb_snapshots_get(x, 0)->content,
	                    msb_snapshots_get(y, 0)->content);
	assert_string_not_equal(msb_snapshots_get(x, 0)->digest,
	                        msb_snapshots_get(y, 0)->digest);
	assert_string_equal(msb_snapshots_get(y, 0)->parent,
	                    msb_snapshots_get(x, 0)->digest);
	msb_snapshots_free(x);
	msb_snapshots_free(y);
}

/* ---- names --------------------------------------------------------------- */

static void a_name_is_taken_once(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"",    ".",  "..",  "../x", "a/b",
	                                  "-rf", "_x", "a b", "a\nb"};
	char longest[MSB_NAME_MAX + 2];

	must(f, snap(f, "a", "s", 0));
	assert_int_equal(snap(f, "a", "s", 0), -MSB_ERR_EXISTS);
	write_text(f, "a", SPOT, "newer");
	must(f, snap(f, "a", "s", MSB_SNAPSHOT_REPLACE));
	must(f, make(f, "b", "s", 0));
	assert_string_equal(read_text(f, "b", SPOT), "newer");
	assert_int_equal(count(f, "snapshots"), 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(snap(f, "a", bad[i], 0), -MSB_ERR_INVALID);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(snap(f, "a", longest, 0), -MSB_ERR_INVALID);
	longest[MSB_NAME_MAX] = '\0';
	must(f, snap(f, "a", longest, 0));
	assert_int_equal(snap(f, "nobody", "t", 0), -MSB_ERR_NOT_FOUND);
	assert_int_equal(
		msb_snapshot_remove(f->home, "../sandboxes", &f->error),
		-MSB_ERR_NOT_FOUND);
	assert_int_equal(make(f, "c", "../snapshots/s", 0), -MSB_ERR_NOT_FOUND);
}

static void one_is_found_by_its_digest(void **state)
{
	struct fixture *f = *state;
	struct msb_snapshots *l;
	char part[DIGEST_TEXT_LEN + 1];

	must(f, snap(f, "a", "s", 0));
	must(f, snap(f, "a", "t", 0));
	must(f, msb_snapshot_list(f->home, NULL, &l, &f->error));
	assert_int_equal(msb_snapshots_count(l), 2);
	(void)snprintf(part, sizeof(part), "%s",
	               msb_snapshots_get(l, 1)->digest);
	assert_string_equal(msb_snapshots_get(l, 1)->name, "t");
	msb_snapshots_free(l);
	part[7 + 12] = '\0';
	must(f, msb_snapshot_list(f->home, part, &l, &f->error));
	assert_string_equal(msb_snapshots_get(l, 0)->name, "t");
	msb_snapshots_free(l);
	must(f, make(f, "b", part + 7, 0));
	part[7 + 11] = '\0';
	assert_int_equal(msb_snapshot_list(f->home, part, &l, &f->error),
	                 -MSB_ERR_NOT_FOUND);
}

static void one_that_runs_is_refused(void **state)
{
	struct fixture *f = *state;
	struct place cleanup_place p = PLACE_INIT;
	cleanup_close int lock = -1, listens = -1;

	place_of(f, "a", &p);
	lock = place_lock(&p, NULL);
	listens = place_listen(&p, NULL);
	assert_true(lock >= 0 && listens >= 0);
	assert_int_equal(snap(f, "a", "s", 0), -MSB_ERR_BUSY);
	assert_non_null(strstr(f->error.hint, "msb stop a"));
	assert_int_equal(count(f, "snapshots"), 0);
	assert_int_equal(count(f, "disks"), 0);
}

static void labels_come_back(void **state)
{
	struct fixture *f = *state;
	const char *const labels[] = {"a=1", "b=", "a=2", NULL};
	const char *const bad[] = {"=x", NULL};
	struct msb_snapshot_opts o = MSB_SNAPSHOT_OPTS_INIT;
	struct msb_snapshots *l;

	o.labels = labels;
	must(f, msb_snapshot_create(f->home, "a", "s", &o, &f->error));
	must(f, msb_snapshot_list(f->home, "s", &l, &f->error));
	assert_string_equal(msb_snapshots_get(l, 0)->labels[0], "a=2");
	assert_string_equal(msb_snapshots_get(l, 0)->labels[1], "b=");
	assert_null(msb_snapshots_get(l, 0)->labels[2]);
	msb_snapshots_free(l);
	o.labels = bad;
	assert_int_equal(msb_snapshot_create(f->home, "a", "t", &o, &f->error),
	                 -MSB_ERR_INVALID);
}

/* ---- what may be wrong in the folders ------------------------------------ */

static void put_file(struct fixture *f, const char *name, const char *file,
                     const char *text)
{
	struct place cleanup_place p = PLACE_INIT;

	place_of(f, name, &p);
	assert_int_equal(
		file_write_atomic(p.dir_fd, file, text, strlen(text), 0600), 0);
}

static void a_wrong_chain_is_refused(void **state)
{
#define V   "{\"version\":1,"
#define RAW "0123456789abcdef0123456789abcdef.raw"
#define COW "0123456789abcdef0123456789abcdef.qcow2"
#define Q   "\"file\":\"upper-01234567.qcow2\","
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"version\":2," Q "\"layers\":[],\"parent\":\"\"}",
		V "\"file\":\"../upper.ext4\",\"layers\":[]}",
		V "\"file\":\"lock\",\"layers\":[]}",
		V "\"file\":\"upper-0123456g.qcow2\",\"layers\":[]}",
		V "\"file\":\"upper.ext4\",\"layers\":[\"" RAW "\"]}",
		V Q "\"layers\":[\"../../etc/passwd\"]}",
		V Q "\"layers\":[\"x" RAW "\"]}",
		V Q "\"layers\":[\"" RAW "\",\"" COW "\"]}",
		V Q "\"layers\":[1]}",
		V Q "\"layers\":\"" RAW "\"}",
		V Q "\"layers\":[\"" RAW "\"],\"parent\":\"x\"}",
		V Q V,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct place cleanup_place p = PLACE_INIT;
		struct upper cleanup_upper u = {0};
		struct err err = {0};

		put_file(f, "a", DISKS_FILE, bad[i]);
		place_of(f, "a", &p);
		assert_int_equal(
			upper_open(f->home->store, &p, 0, false, &u, &err),
			-EUCLEAN);
		assert_non_null(strstr(err.msg, "disk.json"));
		assert_true(snap(f, "a", "s", 0) < 0);
	}
}

/* Of a chain whose layer is lost the old upper may be all that is left. */
static void a_missing_layer_costs_no_other_file(void **state)
{
	struct fixture *f = *state;
	struct place cleanup_place p = PLACE_INIT;
	struct upper cleanup_upper u = {0};

	put_file(f, "a", "upper-01234567.qcow2", "x");
	put_file(f, "a", DISKS_FILE,
	         V Q "\"layers\":[\"" RAW "\"],\"parent\":\"\"}");
	place_of(f, "a", &p);
	assert_true(upper_open(f->home->store, &p, 0, false, &u, NULL) < 0);
	assert_int_equal(faccessat(p.dir_fd, CHAIN_RAW, F_OK, 0), 0);
}

/* It might need anything. */
static void a_chain_that_cannot_be_read_stops_the_sweep(void **state)
{
	struct fixture *f = *state;
	struct place cleanup_place p = PLACE_INIT;
	struct disk_chain cleanup_disk_chain c = {0};

	write_text(f, "a", SPOT, "precious");
	must(f, snap(f, "a", "s", 0));
	must(f, make(f, "b", "s", 0));
	place_of(f, "b", &p);
	assert_int_equal(disk_chain_read(p.dir_fd, &c, NULL), 0);
	put_file(f, "b", DISKS_FILE, "{");
	must(f, msb_snapshot_remove(f->home, "s", &f->error));
	must(f, msb_sandbox_remove(f->home, "a", 0, &f->error));
	assert_int_equal(count(f, "disks"), 1);
	assert_int_equal(disk_chain_write(p.dir_fd, &c, NULL), 0);
	assert_string_equal(read_text(f, "b", SPOT), "precious");
	disks_sweep(f->home->store);
	assert_int_equal(count(f, "disks"), 1);
	must(f, msb_sandbox_remove(f->home, "b", 0, &f->error));
	assert_int_equal(count(f, "disks"), 0);
}

static void a_lost_record_costs_no_disk(void **state)
{
	struct fixture *f = *state;
	char path[96], **done = NULL;

	write_text(f, "a", SPOT, "precious");
	must(f, snap(f, "a", "s", 0));
	must(f, make(f, "b", "s", 0));
	write_text(f, "b", SPOT + 4096, "of b");
	msb_home_free(f->home);
	(void)snprintf(path, sizeof(path), "%s/state.db", f->path);
	assert_int_equal(unlink(path), 0);
	must(f, msb_repair(f->path, 0, &done, &f->error));
	msb_strings_free(done);
	must(f, msb_home_open(f->path, &f->home, &f->error));
	must(f, msb_snapshot_remove(f->home, "s", &f->error));
	assert_string_equal(read_text(f, "a", SPOT), "precious");
	assert_string_equal(read_text(f, "b", SPOT), "precious");
	assert_string_equal(read_text(f, "b", SPOT + 4096), "of b");
}

static void a_description_is_what_we_write(void **state)
{
	struct fixture *f = *state;
	struct snapshot cleanup_snapshot sn = {0};
	cleanup_free char *text = NULL;
	size_t len, refused = 0;

	must(f, snap(f, "a", "s", MSB_SNAPSHOT_INTEGRITY));
	assert_int_equal(snapshot_find(f->home->store, "s", &sn, NULL), 0);
	text = snapshot_text_write(&sn.text);
	len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct snapshot_text cleanup_snapshot_text t = {0};
			char digest[DIGEST_TEXT_LEN + 1];

			text[i] ^= (char)(1u << bit);
			if (text[i] &&
			    snapshot_text_read(text, len, &t, NULL) == 0) {
				/* Another one, then. */
				snapshot_text_digest(text, digest);
				assert_string_not_equal(digest, sn.digest);
			} else {
				refused++;
			}
			text[i] ^= (char)(1u << bit);
		}
	}
	assert_true(refused > len);
	for (size_t i = 0; i < len; i++) {
		struct snapshot_text cleanup_snapshot_text t = {0};

		assert_true(snapshot_text_read(text, i, &t, NULL) < 0);
	}
}

/* ---- kills --------------------------------------------------------------- */

/* What changes files: a kill between two of these is one before the second. */
static bool changes_files(const struct __ptrace_syscall_info *i)
{
	static const int calls[] = {
		SYS_write,          SYS_pwrite64,  SYS_pwritev,   SYS_pwritev2,
		SYS_ftruncate,      SYS_fallocate, SYS_mkdir,     SYS_mkdirat,
		SYS_rename,         SYS_renameat,  SYS_renameat2, SYS_link,
		SYS_linkat,         SYS_unlink,    SYS_unlinkat,  SYS_rmdir,
		SYS_fsync,          SYS_fdatasync, SYS_ioctl,     SYS_fchmodat,
		SYS_copy_file_range};

	if (i->op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	for (size_t k = 0; k < ARRAY_SIZE(calls); k++)
		if (i->entry.nr == (uint64_t)calls[k])
			return true;
	return (i->entry.nr == SYS_openat && (i->entry.args[2] & O_CREAT)) ||
	       (i->entry.nr == SYS_open && (i->entry.args[1] & O_CREAT));
}

/*
 * Let @fn run in a child and kill it before its @stop-th change of a file.
 * False: it ended before.
 */
static bool kill_at(const struct fixture *f, int (*fn)(struct fixture *),
                    unsigned stop)
{
	struct fixture child = *f;
	struct __ptrace_syscall_info info;
	pid_t pid = fork();
	unsigned n = 0;
	int st;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (msb_home_open(f->path, &child.home, NULL) < 0 ||
		    ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(9);
		(void)raise(SIGSTOP);
		_exit(fn(&child) < 0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL,
	                        PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
	                 0);
	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, 0), 0);
		assert_int_equal(waitpid(pid, &st, 0), pid);
		if (WIFEXITED(st)) {
			assert_int_equal(WEXITSTATUS(st), 0);
			return false;
		}
		assert_true(WIFSTOPPED(st));
		if (WSTOPSIG(st) != (SIGTRAP | 0x80))
			continue;
		assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid,
		                   (void *)sizeof(info), &info) > 0);
		if (changes_files(&info) && n++ == stop)
			break;
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return true;
}

static int snap_s(struct fixture *f)
{
	return snap(f, "a", "s", 0);
}

static int fork_b(struct fixture *f)
{
	return make(f, "b", "s", 0);
}

static int remove_s(struct fixture *f)
{
	return msb_snapshot_remove(f->home, "s", NULL);
}

static int remove_a(struct fixture *f)
{
	return msb_sandbox_remove(f->home, "a", 0, NULL);
}

static bool exists(struct fixture *f, const char *name)
{
	struct msb_snapshots *l = NULL;
	int r = msb_snapshot_list(f->home, name, &l, NULL);

	msb_snapshots_free(l);
	return r == 0;
}

static bool has_sandbox(struct fixture *f, const char *name)
{
	struct state_sandbox cleanup_state_sandbox row = {0};

	return life_get(f->home, name, &row, NULL) == 0;
}

/* Uppers in the folder of @name. */
static unsigned uppers(struct fixture *f, const char *name)
{
	struct place cleanup_place p = PLACE_INIT;
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	place_of(f, name, &p);
	d = fdopendir(dup(p.dir_fd));
	assert_non_null(d);
	rewinddir(d);
	while ((e = readdir(d)))
		n += strncmp(e->d_name, "upper", 5) == 0;
	(void)closedir(d);
	return n;
}

static void a_snapshot_killed_anywhere_is_there_or_not(void **state)
{
	struct fixture *f = *state;
	unsigned stop = 0, there = 0, not = 0;

	/* Twice, so that the upper is raw and then a qcow2. */
	for (unsigned round = 0; round < 2; round++) {
		for (stop = 0;; stop++) {
			bool more;

			write_text(f, "a", SPOT, "before");
			more = kill_at(f, snap_s, stop);
			assert_string_equal(read_text(f, "a", SPOT), "before");
			assert_int_equal(uppers(f, "a"), 1);
			if (exists(f, "s")) {
				there++;
				write_text(f, "a", SPOT, "after");
				must(f, make(f, "b", "s", 0));
				assert_string_equal(read_text(f, "b", SPOT),
				                    "before");
				must(f, msb_sandbox_remove(f->home, "b", 0,
				                           &f->error));
				must(f, msb_snapshot_remove(f->home, "s",
				                            &f->error));
			} else {
				not ++;
			}
			/* Anew, as it was: its chain may be longer now. */
			must(f, msb_sandbox_remove(f->home, "a", 0, &f->error));
			disks_sweep(f->home->store);
			assert_int_equal(count(f, "disks"), 0);
			assert_int_equal(count(f, "snapshots"), 0);
			must(f, make(f, "a", NULL, BYTES));
			if (round) {
				must(f, snap(f, "a", "first", 0));
				must(f, msb_snapshot_remove(f->home, "first",
				                            &f->error));
			}
			if (!more)
				break;
		}
	}
	assert_true(stop > 15);
	assert_true(there > 2);
	assert_true(not > 20);
}

static void a_fork_killed_anywhere_is_there_or_not(void **state)
{
	struct fixture *f = *state;
	unsigned stop = 0, there = 0;

	write_text(f, "a", SPOT, "before");
	must(f, snap(f, "a", "s", 0));
	for (bool more = true; more; stop++) {
		more = kill_at(f, fork_b, stop);
		if (!has_sandbox(f, "b"))
			continue;
		there++;
		assert_string_equal(read_text(f, "b", SPOT), "before");
		must(f, msb_sandbox_remove(f->home, "b", 0, &f->error));
	}
	assert_true(stop > 15);
	assert_true(there > 0);
	/* What is marked as rubbish names its layer until it goes. */
	must(f, msb_snapshot_remove(f->home, "s", &f->error));
	assert_string_equal(read_text(f, "a", SPOT), "before");
}

static void a_removal_killed_anywhere_can_go_on(void **state)
{
	struct fixture *f = *state;
	unsigned stop = 0;

	for (bool more = true; more; stop++) {
		write_text(f, "a", SPOT, "before");
		if (!exists(f, "s"))
			must(f, snap(f, "a", "s", 0));
		must(f, make(f, "b", "s", 0));
		more = kill_at(f, remove_s, stop);
		assert_string_equal(read_text(f, "b", SPOT), "before");
		assert_string_equal(read_text(f, "a", SPOT), "before");
		must(f, msb_sandbox_remove(f->home, "b", 0, &f->error));
	}
	assert_true(stop > 4);
	stop = 0;
	for (bool more = true, first = true; more; stop++, first = false) {
		if (!has_sandbox(f, "a"))
			must(f, make(f, "a", NULL, BYTES));
		if (!exists(f, "s") || first)
			must(f, snap(f, "a", "s", MSB_SNAPSHOT_REPLACE));
		more = kill_at(f, remove_a, stop);
		must(f, make(f, "b", "s", 0));
		assert_non_null(read_text(f, "b", SPOT));
		must(f, msb_sandbox_remove(f->home, "b", 0, &f->error));
	}
}

/* ---- where the file system clones ---------------------------------------- */

/* MSB_TEST_REFLINK names a folder on XFS or btrfs. */
static void a_clone_needs_no_chain(void **state)
{
	const char *folder = getenv("MSB_TEST_REFLINK");
	struct fixture f = {0};
	struct disk_chain cleanup_disk_chain a = {0},
					     cleanup_disk_chain b = {0};

	(void)state;
	if (!folder) {
		print_message("# MSB_TEST_REFLINK is not set: no clones\n");
		return;
	}
	open_home(&f, folder);
	must(&f, make(&f, "a", NULL, BYTES));
	for (unsigned i = 0; i < 12; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "generation %u", i);
		write_text(&f, "a", SPOT, text);
		must(&f, snap(&f, "a", "s", MSB_SNAPSHOT_REPLACE));
		write_text(&f, "a", SPOT, "after");
		must(&f, make(&f, "b", "s", 2 * BYTES));
		write_text(&f, "b", SPOT + 4096, "of b");
		assert_string_equal(read_text(&f, "b", SPOT), text);
		must(&f, msb_sandbox_remove(f.home, "b", 0, &f.error));
		must(&f, make(&f, "b", "s", 0));
		assert_string_equal(read_text(&f, "b", SPOT), text);
		assert_string_equal(read_text(&f, "b", SPOT + 4096), "");
		chain_of(&f, "a", &a);
		chain_of(&f, "b", &b);
		assert_int_equal(a.layers.n + b.layers.n, 0);
		assert_string_equal(b.file, CHAIN_RAW);
		disk_chain_release(&a);
		disk_chain_release(&b);
		must(&f, msb_sandbox_remove(f.home, "b", 0, &f.error));
		assert_int_equal(count(&f, "disks"), 1);
	}
	must(&f, msb_snapshot_remove(f.home, "s", &f.error));
	assert_int_equal(count(&f, "disks"), 0);
	close_home(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_go_on_apart_from_each_other),
		TEST(no_data_is_copied),
		TEST(data_stays_for_as_long_as_somebody_needs_it),
		TEST(its_image_stays_with_it),
		TEST(a_deep_chain_is_copied_into_one),
		TEST(a_disk_only_grows),
		TEST(a_raw_disk_stays_raw),
		TEST(a_changed_byte_is_found),
		TEST(the_digest_is_of_the_content_alone),
		TEST(a_name_is_taken_once),
		TEST(one_is_found_by_its_digest),
		TEST(one_that_runs_is_refused),
		TEST(labels_come_back),
		TEST(a_wrong_chain_is_refused),
		TEST(a_missing_layer_costs_no_other_file),
		TEST(a_chain_that_cannot_be_read_stops_the_sweep),
		TEST(a_lost_record_costs_no_disk),
		TEST(a_description_is_what_we_write),
		TEST(a_snapshot_killed_anywhere_is_there_or_not),
		TEST(a_fork_killed_anywhere_is_there_or_not),
		TEST(a_removal_killed_anywhere_can_go_on),
		cmocka_unit_test(a_clone_needs_no_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
