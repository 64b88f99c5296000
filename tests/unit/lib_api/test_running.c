/* run/NAME.json: who has a name, what is left behind, what others read. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "lib/running.h"
#include "lib/walls.h"

static char home[64];
static struct store *store;

static int setup(void **state)
{
	(void)state;
	(void)snprintf(home, sizeof(home), "/tmp/msb-test-XXXXXX");
	if (!mkdtemp(home))
		return -1;
	return store_open(home, &store, NULL);
}

static int teardown(void **state)
{
	(void)state;
	store_close(store);
	return dir_remove(AT_FDCWD, home);
}

static const char *const walls[] = {"empty-root", "seccomp", NULL};

static struct msb_sandbox_info box(void)
{
	return (struct msb_sandbox_info){.name = "box",
	                                 .image = "docker.io/library/a:1",
	                                 .state = MSB_STATE_READY,
	                                 .cpus = 2,
	                                 .memory_bytes = 1u << 28,
	                                 .engine = "qemu",
	                                 .accel = "tcg",
	                                 .walls = walls,
	                                 .pid = 12,
	                                 .owner_pid = 11,
	                                 .started_unix = 1000};
}

static bool exists(const char *file)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/run/%s", home, file);
	return access(path, F_OK) == 0;
}

static int read_code(const char *name)
{
	struct msb_sandbox_info *info = NULL;
	struct err err = {0};
	int r = running_read(store, name, &info, &err);

	assert_int_equal(r < 0, err.msg[0] != '\0');
	msb_sandbox_info_free(info);
	return r;
}

static void what_was_written_is_read(void **state)
{
	struct msb_sandbox_info *got = NULL, said = box();
	struct running r = RUNNING_INIT;
	struct stat st;
	char path[128];

	(void)state;
	assert_int_equal(running_claim(store, "box", &r, NULL), 0);
	assert_int_equal(running_write(&r, &said), 0);
	assert_int_equal(running_read(store, "box", &got, NULL), 0);
	assert_string_equal(got->name, "box");
	assert_string_equal(got->image, said.image);
	assert_int_equal(got->state, MSB_STATE_READY);
	assert_int_equal(got->cpus, 2);
	assert_int_equal(got->memory_bytes, 1u << 28);
	assert_string_equal(got->engine, "qemu");
	assert_string_equal(got->accel, "tcg");
	assert_string_equal(got->walls[0], "empty-root");
	assert_string_equal(got->walls[1], "seccomp");
	assert_null(got->walls[2]);
	assert_non_null(strstr(got->boundary, "jail"));
	assert_int_equal(got->pid, 12);
	assert_int_equal(got->owner_pid, 11);
	assert_int_equal(got->started_unix, 1000);
	msb_sandbox_info_free(got);
	(void)snprintf(path, sizeof(path), "%s/run/box.json", home);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	running_drop(&r);
	running_drop(&r);
	assert_false(exists("box.json"));
	assert_int_equal(read_code("box"), -ENOENT);
}

static void a_name_is_taken_once(void **state)
{
	struct running a = RUNNING_INIT, b = RUNNING_INIT;
	struct msb_sandbox_info said = box();
	struct err err = {0};

	(void)state;
	assert_int_equal(running_claim(store, "box", &a, NULL), 0);
	assert_int_equal(running_claim(store, "box", &b, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "box"));
	assert_true(err.hint[0] != '\0');
	assert_int_equal(running_write(&a, &said), 0);
	assert_int_equal(running_claim(store, "box", &b, &err), -EEXIST);
	assert_int_equal(running_claim(store, "box2", &b, &err), 0);
	running_drop(&a);
	assert_int_equal(running_claim(store, "box", &a, &err), 0);
	running_drop(&a);
	running_drop(&b);
}

/* A child that takes @name and dies by SIGKILL. */
static void die_with(const char *name)
{
	struct msb_sandbox_info said = box();
	struct running r = RUNNING_INIT;
	int st;
	pid_t pid = fork();

	if (pid == 0) {
		if (running_claim(store, name, &r, NULL) == 0 &&
		    running_write(&r, &said) == 0)
			(void)kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFSIGNALED(st));
}

static void what_a_killed_process_left_means_nothing(void **state)
{
	struct running r = RUNNING_INIT;
	char path[128];
	int fd;

	(void)state;
	die_with("box");
	assert_true(exists("box.json"));
	assert_int_equal(read_code("box"), -ENOENT);
	assert_false(exists("box.json"));
	die_with("box");
	assert_int_equal(running_claim(store, "box", &r, NULL), 0);
	running_drop(&r);
	die_with("msb-00000001");
	(void)snprintf(path, sizeof(path), "%s/run/.msb-00000001.json.new",
	               home);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(running_claim(store, "other", &r, NULL), 0);
	assert_false(exists("msb-00000001.json")); /* swept */
	assert_false(exists(".msb-00000001.json.new"));
	running_drop(&r);
}

/* Another process rewrites all the time; a reader never sees a half. */
static void a_reader_sees_all_or_nothing(void **state)
{
	struct msb_sandbox_info said = box();
	int st, seen = 0;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct running r = RUNNING_INIT;
		bool ok = true;

		for (int i = 0; i < 100 && ok; i++) {
			ok = running_claim(store, "box", &r, NULL) == 0;
			for (int k = 0; k < 10 && ok; k++) {
				said.cpus = (uint32_t)(k + 1);
				ok = running_write(&r, &said) == 0;
			}
			running_drop(&r);
		}
		_exit(ok ? 0 : 1);
	}
	while (waitpid(pid, &st, WNOHANG) == 0) {
		struct msb_sandbox_info *info = NULL;
		struct err err = {0};
		int r = running_read(store, "box", &info, &err);

		if (r != 0 && r != -ENOENT)
			fail_msg("%s", err.msg);
		seen += r == 0;
		assert_true(r != 0 || (info->cpus >= 1 && info->cpus <= 10));
		msb_sandbox_info_free(info);
	}
	assert_int_equal(st, 0);
	assert_true(seen > 0);
}

static void a_name_that_is_none_reaches_no_file(void **state)
{
	static const char *const names[] = {
		"",   ".",   "..",   "../store/VERSION", "a/b",   "-x", ".x",
		"_x", "a b", "a\nb", "\xc3\xa9",         "a\x1b",
	};
	struct running r = RUNNING_INIT;
	char name[MSB_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(read_code(names[i]), -ENOENT);
		assert_int_equal(running_claim(store, names[i], &r, NULL),
		                 -EINVAL);
	}
	memset(name, 'n', sizeof(name));
	name[MSB_NAME_MAX + 1] = '\0';
	assert_int_equal(running_claim(store, name, &r, NULL), -EINVAL);
	name[MSB_NAME_MAX] = '\0';
	assert_int_equal(running_claim(store, name, &r, NULL), 0);
	running_drop(&r);
}

static void put(const char *text)
{
	struct running r = RUNNING_INIT;

	assert_int_equal(running_claim(store, "box", &r, NULL), 0);
	assert_int_equal(pwrite(r.fd, text, strlen(text), 0) ==
	                         (ssize_t)strlen(text),
	                 1);
	if (strstr(text, "\"version\": 1"))
		assert_int_equal(read_code("box"), 0);
	else
		assert_true(read_code("box") < 0);
	running_drop(&r);
}

static void a_damaged_file_does_no_harm(void **state)
{
	(void)state;
	put("{");
	put("[]");
	put("{\"version\": 2}");
	put("{\"version\": 1}");
	put("{\"version\": 1, \"cpus\": -1, \"walls\": [1, null, \"x\"], "
	    "\"name\": 7, \"memory_bytes\": 9223372036854775807}");
}

static void links_and_fifos_in_its_place_are_not_followed(void **state)
{
	struct running r = RUNNING_INIT;
	char path[128];

	(void)state;
	assert_int_equal(running_claim(store, "x", &r, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/run/box.json", home);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(read_code("box") < 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(read_code("box") < 0); /* and does not block */
	running_drop(&r);
}

static void a_path_that_is_not_utf8_is_escaped(void **state)
{
	struct msb_sandbox_info *got = NULL, said = box();
	struct running r = RUNNING_INIT;

	(void)state;
	said.image = "./a\xff"
		     "b";
	assert_int_equal(running_claim(store, "box", &r, NULL), 0);
	assert_int_equal(running_write(&r, &said), 0);
	assert_int_equal(running_read(store, "box", &got, NULL), 0);
	assert_string_equal(got->image, "./a\\xffb");
	msb_sandbox_info_free(got);
	running_drop(&r);
}

static void the_wall_that_counts_is_told(void **state)
{
	static const char *const none[] = {"no-new-privileges", "seccomp",
	                                   NULL};
	static const char *const other[] = {"landlock", "seccomp", NULL};

	(void)state;
	assert_non_null(strstr(walls_boundary("tcg", other), "the jail"));
	assert_non_null(strstr(walls_boundary("kvm", walls), "virtualization"));
	assert_non_null(strstr(walls_boundary("kvm", walls), "jail"));
	assert_non_null(strstr(walls_boundary("kvm", none), "no jail"));
	assert_non_null(strstr(walls_boundary("tcg", walls), "the jail"));
	assert_non_null(strstr(walls_boundary("tcg", none), "none"));
	assert_non_null(strstr(walls_boundary("tcg", NULL), "none"));
	assert_string_equal(walls_boundary("", none), "not known yet");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_was_written_is_read),
		T(a_name_is_taken_once),
		T(what_a_killed_process_left_means_nothing),
		T(a_reader_sees_all_or_nothing),
		T(a_name_that_is_none_reaches_no_file),
		T(a_damaged_file_does_no_harm),
		T(links_and_fifos_in_its_place_are_not_followed),
		T(a_path_that_is_not_utf8_is_escaped),
		T(the_wall_that_counts_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
