/* What msb-vmm is started with: its configuration and its descriptors. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "lib/launch.h"

static struct rootfs_extent extents[] = {
	{0, 0,    8192},
	{1, 4096, 4096},
};

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static int temp_file(const char *content)
{
	char path[] = "/tmp/msb-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fd_write_full(fd, content, strlen(content)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* As a sandbox has them: the image's, and an upper of its own. */
static void add_disks(struct launch *l, const struct rootfs *root)
{
	struct launch_disk *d = launch_add_disk(l, "root");

	d->extents = root;
	d->read_only = true;
	d = launch_add_disk(l, "upper");
	d->layers[0] = (struct disk_layer){temp_file("upper\n"), DISK_RAW};
	d->nlayers = 1;
}

static void the_configuration_is_as_agreed(void **state)
{
	struct runtime rt = {.qemu = text("/usr/bin/q"),
	                     .cmdline = text("console=ttyS0")};
	struct rootfs root = {.nfds = 2, .extents = extents, .nextents = 2};
	char *script = text("hi=#!/bin/sh\na=b\n"), *arg = text("-x");
	const struct sandbox_config config = {
		.cpus = 2,
		.memory_bytes = 512 * MIB,
		.boot_timeout_ms = 60000,
		.max_duration_s = 7,
		.idle_timeout_s = 8,
		.engine = MSB_ENGINE_QEMU,
		.accel = MSB_ACCEL_TCG,
		.init = text("/sbin/init"),
		.init_args = {&arg,    1},
		.scripts = {&script, 1},
	};
	struct launch cleanup_launch l = LAUNCH_INIT;
	struct launch_share *share;
	json_t *j, *disks, *e;
	char *json;

	l.runtime = &rt;
	l.name = "msb-1";
	l.hostname = "host";
	l.config = &config;
	add_disks(&l, &root);
	assert_int_equal(ftruncate(l.disks[1].layers[0].fd, 8LL << 30), 0);
	share = launch_add_share(&l);
	share->fd = temp_file("share");
	share->usage_fd = temp_file("usage");
	share->cache = MSB_CACHE_NONE;
	assert_int_equal(launch_add_lock(&l, temp_file("lock")), 0);
	assert_int_equal(strv_add(&l.mounts, "share"), 0);
	json = launch_config(&l);

	(void)state;
	assert_non_null(json);
	j = json_parse(json, strlen(json), "config", NULL);
	assert_non_null(j);
	assert_int_equal(json_int(j, "version", 0), 1);
	assert_string_equal(json_str(j, "name", ""), "msb-1");
	assert_string_equal(json_str(j, "hostname", ""), "host");
	assert_string_equal(json_str(j, "engine", ""), "qemu");
	assert_string_equal(json_str(j, "accel", ""), "tcg");
	assert_string_equal(json_str(j, "qemu", ""), "/usr/bin/q");
	assert_string_equal(json_str(j, "cmdline", ""), "console=ttyS0");
	assert_int_equal(json_int(j, "cpus", 0), 2);
	assert_int_equal(json_int(j, "memory_mib", 0), 512);
	assert_int_equal(json_int(j, "kernel_fd", 0), 5);
	assert_int_equal(json_int(j, "initramfs_fd", 0), 6);
	assert_int_equal(json_int(j, "boot_timeout_ms", 0), 60000);
	assert_int_equal(json_int(j, "listen_fd", 0), 7);
	assert_int_equal(json_int(j, "lock_fd", 0), 8);
	assert_int_equal(json_int(j, "end_fd", 0), 9);
	assert_int_equal(json_int(j, "max_duration_s", 0), 7);
	assert_int_equal(json_int(j, "idle_timeout_s", 0), 8);
	e = json_object_get(j, "log_fds");
	assert_int_equal(json_integer_value(json_array_get(e, 0)), 10);
	assert_int_equal(json_integer_value(json_array_get(e, 1)), 11);
	e = json_object_get(j, "scripts");
	assert_int_equal(json_array_size(e), 2);
	assert_string_equal(json_string_value(json_array_get(e, 0)), "hi");
	assert_string_equal(json_string_value(json_array_get(e, 1)),
	                    "#!/bin/sh\na=b\n");
	e = json_object_get(j, "init");
	assert_int_equal(json_array_size(e), 2);
	assert_string_equal(json_string_value(json_array_get(e, 0)),
	                    "/sbin/init");
	assert_string_equal(json_string_value(json_array_get(e, 1)), "-x");
	disks = json_object_get(j, "disks");
	assert_int_equal(json_array_size(disks), 2);
	e = json_array_get(json_object_get(json_array_get(disks, 0), "extents"),
	                   1);
	assert_int_equal(json_int(e, "fd", 0), 13);
	assert_int_equal(json_int(e, "offset", 0), 4096);
	assert_int_equal(json_int(e, "len", 0), 4096);
	assert_true(json_bool(json_array_get(disks, 0), "read_only", false));
	assert_false(json_bool(json_array_get(disks, 1), "read_only", true));
	assert_string_equal(json_str(json_array_get(disks, 1), "serial", ""),
	                    "upper");
	e = json_array_get(json_object_get(json_array_get(disks, 1), "layers"),
	                   0);
	assert_int_equal(json_int(e, "fd", 0), 14);
	assert_string_equal(json_str(e, "format", ""), "raw");
	e = json_array_get(json_object_get(j, "shares"), 0);
	assert_string_equal(json_str(e, "name", ""), "s0");
	assert_string_equal(json_str(e, "cache", ""), "none");
	assert_int_equal(json_int(e, "fd", 0), 15);
	assert_int_equal(json_int(e, "usage_fd", 0), 16);
	e = json_object_get(j, "lock_fds");
	assert_int_equal(json_integer_value(json_array_get(e, 0)), 17);
	assert_string_equal(json_str(j, "root_type", ""), "erofs");
	json_decref(j);
	free(json);
}

/*
 * A shell script in msb-vmm's place tells through the control socket's number
 * what it was given.
 */
static const char script[] =
	"#!/bin/sh\n"
	"exec >&3\n"
	/* $$ is 1 in its own namespace; this /proc is the host's */
	"read -r pid comm state ppid pgrp sid rest </proc/self/stat\n"
	"ls -1 /proc/$pid/fd | tr '\\n' ' '\n"
	"cat <&4 | head -c 12; echo\n"
	"for n in 5 6 7 8 9 10 11 12 13; do cat /proc/$pid/fd/$n; done\n"
	"echo $MSB_LOG ${HOME:-no-home} $1\n"
	"[ \"$sid\" = $pid ] && echo own-session\n";

static void read_all(int control, char *out, size_t len)
{
	size_t used = 0;

	for (;;) {
		ssize_t n = recv(control, out + used, len - used - 1, 0);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	out[used] = '\0';
}

static void the_child_gets_its_descriptors_and_no_others(void **state)
{
	char path[] = "/tmp/msb-test-vmm-XXXXXX", out[4096];
	int script_fd = mkstemp(path), control = -1, st, leak;
	int root_fd = temp_file("root\n");
	struct runtime rt = RUNTIME_INIT;
	struct rootfs root = {
		.fds = &root_fd, .nfds = 1, .extents = extents, .nextents = 1};
	const struct sandbox_config config = {.engine = MSB_ENGINE_AUTO,
	                                      .accel = MSB_ACCEL_AUTO};
	struct launch cleanup_launch l = {.runtime = &rt,
	                                  .name = "msb-1",
	                                  .hostname = "h",
	                                  .config = &config,
	                                  .stderr_fd = -1,
	                                  .log_level = "info",
	                                  .root_type = "erofs",
	                                  .root_name = "root",
	                                  .net = NET_LAUNCH_INIT};
	struct err err = {0};
	pid_t pid = 0;

	(void)state;
	assert_true(script_fd >= 0);
	assert_int_equal(fd_write_full(script_fd, script, strlen(script)), 0);
	assert_int_equal(fchmod(script_fd, 0755), 0);
	close(script_fd);
	leak = dup2(root_fd, 40); /* a host program's, not close-on-exec */
	rt.vmm = path;
	rt.qemu = text("/q");
	rt.cmdline = text("c");
	rt.kernel_fd = temp_file("kernel\n");
	rt.initramfs_fd = temp_file("initramfs\n");
	add_disks(&l, &root);
	l.listen_fd = temp_file("listen\n");
	l.lock_fd = temp_file("lock\n");
	l.end_fd = temp_file("end\n");
	l.log_fds[0] = temp_file("log0\n");
	l.log_fds[1] = temp_file("log1\n");
	assert_int_equal(launch_start(&l, &pid, &control, &err), 0);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	read_all(control, out, sizeof(out));
	assert_non_null(strstr(out, "{\"version\":"));
	assert_non_null(strstr(out, "kernel\ninitramfs\nlisten\nlock\nend\n"
	                            "log0\nlog1\nroot\nupper\n"));
	assert_non_null(strstr(out, "info no-home msb-1\n"));
	assert_non_null(strstr(out, "own-session"));
	/* 14: the shell's copy of the script */
	assert_memory_equal(out, "0 1 10 11 12 13 14 2 3 4 5 6 7 8 9 ", 35);
	close(control);
	close(leak);
	close(root_fd);
	close(l.listen_fd);
	close(l.lock_fd);
	close(l.end_fd);
	close(l.log_fds[0]);
	close(l.log_fds[1]);
	close(rt.kernel_fd);
	close(rt.initramfs_fd);
	(void)unlink(path);
}

static void a_missing_vmm_is_an_error(void **state)
{
	int root_fd = temp_file("r"), control = -1;
	struct runtime rt = {.vmm = text("/nonexistent/msb-vmm"),
	                     .qemu = text("/q"),
	                     .cmdline = text("c"),
	                     .kernel_fd = root_fd,
	                     .initramfs_fd = root_fd};
	struct rootfs root = {
		.fds = &root_fd, .nfds = 1, .extents = extents, .nextents = 1};
	const struct sandbox_config config = {.engine = MSB_ENGINE_AUTO,
	                                      .accel = MSB_ACCEL_AUTO};
	struct launch cleanup_launch l = {
		.net = NET_LAUNCH_INIT,
		.runtime = &rt,
		.listen_fd = root_fd,
		.lock_fd = root_fd,
		.end_fd = root_fd,
		.log_fds = {root_fd, root_fd},
		.name = "n",
		.hostname = "h",
		.config = &config,
		.stderr_fd = -1,
		.root_type = "erofs",
		.root_name = "root"
        };
	struct err err = {0};
	pid_t pid = 0;

	(void)state;
	add_disks(&l, &root);
	assert_int_equal(launch_start(&l, &pid, &control, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/msb-vmm"));
	assert_int_equal(control, -1);
	close(root_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_configuration_is_as_agreed),
		cmocka_unit_test(the_child_gets_its_descriptors_and_no_others),
		cmocka_unit_test(a_missing_vmm_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
