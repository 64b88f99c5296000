/* Files of the machine over those of a root, which may be hostile. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"
#include "guest/cover.h"
#include "guest/etc.h"
#include "guest/trust.h"

#define LIST(...) list_of((char *[]){__VA_ARGS__, NULL})

static struct proto_strs list_of(char **v)
{
	uint32_t n = 0;

	while (v[n])
		n++;
	return (struct proto_strs){v, n};
}

static char top[64]; /* of the test: root, out, scratch in it */
static char command[1200];

static void sh(const char *text)
{
	(void)snprintf(command, sizeof(command), "cd %s && %s", top, text);
	if (system(command) != 0)
		fail_msg("%s", command);
}

static int open_root(void)
{
	char path[80];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/root", top);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void check_file(const char *path, const char *want)
{
	struct buf cleanup_buf b = BUF_INIT;
	char whole[200];

	(void)snprintf(whole, sizeof(whole), "%s/%s", top, path);
	assert_int_equal(file_read(AT_FDCWD, whole, &b), 0);
	assert_string_equal(buf_str(&b), want);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/msb-test-etc-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	sh("mkdir root out scratch && echo secret > out/file");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

/* ---- texts ---- */

static void the_texts_are_as_planned(void **state)
{
	struct buf cleanup_buf hosts = BUF_INIT, resolv = BUF_INIT;
	struct proto_strs net = LIST(
		"ip4=172.16.0.2/30", "ip6=fd42::2/64", "dns=172.16.0.1",
		"dns=fd42::1", "host=172.16.0.1 host.microsandbox.internal");

	(void)state;
	assert_int_equal(etc_hosts_text(&hosts, "box", &net), 0);
	assert_string_equal(buf_str(&hosts),
	                    "127.0.0.1\tlocalhost\n"
	                    "::1\tlocalhost ip6-localhost ip6-loopback\n"
	                    "172.16.0.2\tbox\n"
	                    "fd42::2\tbox\n"
	                    "172.16.0.1 host.microsandbox.internal\n");
	assert_int_equal(etc_resolv_text(&resolv, &net), 0);
	assert_string_equal(buf_str(&resolv), "nameserver 172.16.0.1\n"
	                                      "nameserver fd42::1\n");
}

/* ---- places ---- */

/* Opens @path; what it leads to must be @want within root ("": must fail). */
static void check_open(const char *path, bool make, const char *want)
{
	cleanup_close int root = open_root();
	cleanup_close int fd = cover_open(root, path, make);
	char whole[200];
	struct stat a, b;

	if (!*want) {
		assert_true(fd < 0);
		return;
	}
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(-fd));
	(void)snprintf(whole, sizeof(whole), "%s/root%s", top, want);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(lstat(whole, &b), 0);
	assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
}

static void files_are_made_where_they_are_missing(void **state)
{
	(void)state;
	check_open("/etc/hosts", false, "");
	check_open("/etc/hosts", true, "/etc/hosts");
	check_open("/etc/hosts", false, "/etc/hosts");
	sh("ln -s ../run/systemd/resolve/stub.conf root/etc/resolv.conf");
	check_open("/etc/resolv.conf", false, "");
	check_open("/etc/resolv.conf", true, "/run/systemd/resolve/stub.conf");
	sh("ln -s /var/lib/x/name root/etc/hostname");
	check_open("/etc/hostname", true, "/var/lib/x/name");
	sh("ln -s /etc/b root/etc/a; ln -s c root/etc/b");
	check_open("/etc/a", true, "/etc/c");
}

static void links_do_not_lead_out_of_the_root(void **state)
{
	(void)state;
	sh("mkdir -p root/etc && ln -s ../../../../../../../../..$PWD/out/file "
	   "root/etc/up");
	check_open("/etc/up", false, "");
	sh("ln -s $PWD/out/file root/etc/abs");
	check_open("/etc/abs", false, "");
	sh("ln -s ../../out root/dir && ln -s /dir/file root/etc/through");
	check_open("/etc/through", false, "");
}

static void what_is_made_is_made_within_the_root(void **state)
{
	char want[100];

	(void)state;
	sh("mkdir -p root/etc && ln -s $PWD/out/new root/etc/make");
	(void)snprintf(want, sizeof(want), "%s/out/new", top);
	check_open("/etc/make", true, want);
	sh("test ! -e out/new");
	sh("ln -s ../../../../../../../out/deep/new root/etc/deep");
	check_open("/etc/deep", true, "/out/deep/new");
	sh("test ! -e out/deep");
	/* A folder that is a link out of it. */
	sh("ln -s ../../out root/lib && ln -s /lib/x root/etc/x");
	check_open("/etc/x", true, "/out/x");
	sh("test ! -e out/x && cat out/file > /dev/null");
}

static void what_is_no_file_is_left_alone(void **state)
{
	(void)state;
	sh("mkdir -p root/etc/dir && mkfifo root/etc/fifo && ln -s loop "
	   "root/etc/loop && ln -s nobody/../x root/etc/dots && "
	   "ln -s file root/file2 && : > root/file && ln -s /file/x "
	   "root/etc/below");
	check_open("/etc/dir", true, "");
	check_open("/etc/fifo", true, "");
	check_open("/etc/loop", true, "");
	check_open("/etc/below", true, "");
	check_open("/etc/dots", true, "/etc/x");
}

static void magic_links_are_refused(void **state)
{
	(void)state;
	sh("mkdir -p root/etc root/proc");
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	(void)snprintf(command, sizeof(command), "%s/root/proc", top);
	assert_int_equal(mount("proc", command, "proc", 0, NULL), 0);
	sh("ln -s /proc/1/root$PWD/out/file root/etc/root");
	check_open("/etc/root", true, "");
	sh("ln -s /proc/self/cwd/x root/etc/cwd");
	check_open("/etc/cwd", true, "");
	sh("ln -s /proc/self/exe root/etc/exe");
	check_open("/etc/exe", true, "");
	(void)snprintf(command, sizeof(command), "%s/root/proc", top);
	(void)umount2(command, MNT_DETACH);
}

/* ---- all of it ---- */

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static struct proto_strs some_net(void)
{
	static char *list[] = {"ip4=172.16.0.2/30", "dns=172.16.0.1", NULL};

	return (struct proto_strs){list, 2};
}

static bool provide(const struct proto_strs *net, const char *pem)
{
	cleanup_close int root = -1;
	struct proto_bytes bytes = {(const uint8_t *)pem,
	                            (uint32_t)strlen(pem)};
	char scratch[80];
	dev_t dev;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	root = open_root(); /* of this namespace */
	(void)snprintf(scratch, sizeof(scratch), "%s/scratch", top);
	etc_provide(root, scratch, "box", net, &bytes, false, &dev);
	return true;
}

/* What is bound here is gone for the rm of tear_down(). */
static void uncover(const char *path)
{
	(void)snprintf(command, sizeof(command), "%s/%s", top, path);
	assert_int_equal(umount2(command, MNT_DETACH), 0);
}

static void the_roots_own_files_stay_as_they_are(void **state)
{
	struct proto_strs net = some_net();

	(void)state;
	sh("mkdir -p root/etc && echo theirs > root/etc/hosts && "
	   "ln -s ../run/r root/etc/resolv.conf");
	if (!provide(&net, ""))
		skip();
	check_file("root/etc/resolv.conf", "nameserver 172.16.0.1\n");
	check_file("root/etc/hostname", "box\n");
	check_file("root/etc/hosts",
	           "127.0.0.1\tlocalhost\n"
	           "::1\tlocalhost ip6-localhost ip6-loopback\n"
	           "172.16.0.2\tbox\n");
	sh("echo more >> root/etc/hosts && test ! -e scratch/0");
	uncover("root/etc/hosts");
	uncover("root/etc/hostname");
	uncover("root/run/r");
	check_file("root/etc/hosts", "theirs\n");
	check_file("root/etc/hostname", "");
	sh("test -L root/etc/resolv.conf");
	check_file("root/run/r", "");
}

static void certificates_go_behind_each_store(void **state)
{
	struct proto_strs none = {0};

	(void)state;
	sh("mkdir -p root/etc/ssl/certs root/etc/pki/tls/certs "
	   "root/etc/pki/ca-trust/extracted/pem");
	sh("printf DEB > root/etc/ssl/certs/ca-certificates.crt");
	sh("ln -s certs/ca-certificates.crt root/etc/ssl/cert.pem");
	sh("echo RED > root/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
	sh("ln -s /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem "
	   "root/etc/pki/tls/certs/ca-bundle.crt");
	if (!provide(&none, PEM))
		skip();
	check_file("root/etc/ssl/certs/ca-certificates.crt", "DEB\n" PEM);
	check_file("root/etc/ssl/cert.pem", "DEB\n" PEM);
	check_file("root/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	           "RED\n" PEM);
	sh("test ! -e root/etc/hosts && test ! -e root/etc/ssl/ca-bundle.pem");
	uncover("root/.msb/ca-bundle.pem");
	uncover("root/etc/ssl/certs/ca-certificates.crt");
	uncover("root/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
	check_file("root/etc/ssl/certs/ca-certificates.crt", "DEB");
}

static void odd_stores_are_left_alone(void **state)
{
	struct proto_strs none = {0};

	(void)state;
	sh("mkdir -p root/etc/ssl/certs root/etc/ssl/cert.pem "
	   "root/var/lib/ca-certificates");
	sh("mkfifo root/etc/ssl/certs/ca-certificates.crt");
	sh("dd if=/dev/zero of=root/var/lib/ca-certificates/ca-bundle.pem "
	   "bs=1M count=3 2> /dev/null");
	sh("ln -s $PWD/out/file root/etc/ssl/ca-bundle.pem");
	if (!provide(&none, PEM))
		skip();
	sh("test -p root/etc/ssl/certs/ca-certificates.crt");
	sh("test $(stat -c %s root/var/lib/ca-certificates/ca-bundle.pem) = "
	   "3145728");
	check_file("out/file", "secret\n");
	uncover("root/.msb/ca-bundle.pem");
}

/* A store, OpenSSL's folder, Java's in three places, and login shells. */
static void all_kinds_of_programs_trust_it(void **state)
{
	struct proto_strs none = {0};
	struct buf cleanup_buf ca = BUF_INIT;
	char path[100];

	(void)state;
	sh("mkdir -p root/etc/ssl/certs/java root/etc/profile.d "
	   "root/usr/lib/jvm/java-17/lib/security "
	   "root/opt/jdk8/jre/lib/security"
	   " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
	   "-nodes -keyout k -out ca.pem -subj '/CN=microsandbox CA' "
	   "2>/dev/null && cp ca.pem root/etc/ssl/certs/ca-certificates.crt && "
	   "echo x > root/etc/ssl/certs/java/cacerts && "
	   "ln -s ../../../../../../etc/ssl/certs/java/cacerts "
	   "root/usr/lib/jvm/java-17/lib/security/cacerts && "
	   "ln -s java-17 root/usr/lib/jvm/default && "
	   "mkfifo root/opt/jdk8/jre/lib/security/cacerts && "
	   "openssl x509 -in ca.pem -noout -hash > hash");
	(void)snprintf(path, sizeof(path), "%s/ca.pem", top);
	assert_int_equal(file_read(AT_FDCWD, path, &ca), 0);
	if (!provide(&none, buf_str(&ca)))
		skip();
	sh("cmp ca.pem root/etc/ssl/certs/$(cat hash).0");
	sh("cat ca.pem ca.pem | cmp - root/.msb/ca-bundle.pem");
	sh("cat ca.pem ca.pem | cmp - root/etc/ssl/certs/ca-certificates.crt");
	sh("head -c 4 root/etc/ssl/certs/java/cacerts | od -An -tx1 | "
	   "grep -q 'fe ed fe ed'");
	sh("cmp root/etc/ssl/certs/java/cacerts "
	   "root/usr/lib/jvm/default/lib/security/cacerts");
	sh("test -p root/opt/jdk8/jre/lib/security/cacerts");
	sh("mount | grep -c \" $PWD/root/\" > n; test $(cat n) = 5");
	sh(". root/etc/profile.d/msb-trust.sh");
	sh("umount -l $(mount | grep \" $PWD/root/\" | cut -d' ' -f3)");
	sh("test $(cat root/etc/ssl/certs/java/cacerts) = x");
	sh("test ! -s root/etc/ssl/certs/$(cat hash).0");
	sh("test ! -s root/etc/profile.d/msb-trust.sh");
}

/* The empty file of an earlier start is used again; another's is not. */
static void names_of_the_folder_are_found(void **state)
{
	struct proto_strs none = {0};
	struct buf cleanup_buf ca = BUF_INIT;
	char path[100];

	(void)state;
	sh("mkdir -p root/etc/ssl/certs && openssl req -x509 -newkey ec "
	   "-pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out ca.pem "
	   "-subj '/CN=microsandbox CA' 2>/dev/null && "
	   "openssl x509 -in ca.pem -noout -hash > hash && "
	   "echo other > root/etc/ssl/certs/$(cat hash).0 && "
	   ": > root/etc/ssl/certs/$(cat hash).1");
	(void)snprintf(path, sizeof(path), "%s/ca.pem", top);
	assert_int_equal(file_read(AT_FDCWD, path, &ca), 0);
	if (!provide(&none, buf_str(&ca)))
		skip();
	sh("test $(cat root/etc/ssl/certs/$(cat hash).0) = other");
	sh("cmp ca.pem root/etc/ssl/certs/$(cat hash).1");
	sh("test ! -e root/etc/ssl/certs/$(cat hash).2");
	sh("umount -l $(mount | grep \" $PWD/root/\" | cut -d' ' -f3)");
}

/* A file renamed over the bundle: while ours is away, and then behind it. */
static void a_bundle_can_be_written_anew(void **state)
{
	struct proto_bytes cas = {(const uint8_t *)PEM, sizeof(PEM) - 1};
	struct proto_strs none = {0};
	struct cover c = {.tmpfs_fd = -1};
	char scratch[80];
	dev_t dev;

	(void)state;
	(void)snprintf(scratch, sizeof(scratch), "%s/scratch", top);
	sh("mkdir -p root/etc/ssl/certs && cd root/etc/ssl/certs && "
	   "echo old > ca-certificates.crt && echo new > "
	   "ca-certificates.crt.new");
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	c.root_fd = open_root();
	c.scratch = scratch;
	etc_provide(c.root_fd, scratch, "box", &none, &cas, false, &dev);
	check_file("root/.msb/ca-bundle.pem", "old\n" PEM);
	trust_uncover(c.root_fd, dev + 1, true); /* not ours: stays */
	check_file("root/etc/ssl/certs/ca-certificates.crt", "old\n" PEM);
	trust_uncover(c.root_fd, dev, false);
	sh("cd root/etc/ssl/certs && mv ca-certificates.crt.new "
	   "ca-certificates.crt");
	check_file("root/.msb/ca-bundle.pem", "old\n" PEM);
	assert_int_equal(cover_begin(&c, TRUST_TMPFS), 0);
	trust_uncover(c.root_fd, dev, true);
	trust_bundles(&c, &cas);
	cover_end(&c);
	check_file("root/.msb/ca-bundle.pem", "new\n" PEM);
	check_file("root/etc/ssl/certs/ca-certificates.crt", "new\n" PEM);
	trust_uncover(c.root_fd, c.dev, true);
	check_file("root/.msb/ca-bundle.pem", "");
	check_file("root/etc/ssl/certs/ca-certificates.crt", "new\n");
	close_fd(&c.root_fd);
}

static void what_it_makes_is_known(void **state)
{
	static const char *const bad[] = {
		"etc/ssl/certs/0123abcd.pem", "etc/ssl/certs/0123abcde.0",
		"etc/ssl/certs/0123abc.0",    "etc/ssl/certs/0123ABCD.0",
		"etc/ssl/certs/0123abcd.10",  "etc/ssl/certs/",
		"etc/ssl/0123abcd.0",         "etc/profile.d/other.sh"};

	(void)state;
	assert_true(trust_made("etc/ssl/certs/0123abcd.0", 0));
	assert_true(trust_made("etc/profile.d/msb-trust.sh", 0));
	assert_false(trust_made("etc/ssl/certs/0123abcd.0", 1));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(trust_made(bad[i], 0));
}

static void nothing_is_done_without_a_network(void **state)
{
	struct proto_strs none = {0};

	(void)state;
	if (!provide(&none, ""))
		skip();
	sh("test -z \"$(ls -A root)\"");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_texts_are_as_planned),
		T(files_are_made_where_they_are_missing),
		T(links_do_not_lead_out_of_the_root),
		T(what_is_made_is_made_within_the_root),
		T(what_is_no_file_is_left_alone),
		T(magic_links_are_refused),
		T(the_roots_own_files_stay_as_they_are),
		T(certificates_go_behind_each_store),
		T(odd_stores_are_left_alone),
		T(all_kinds_of_programs_trust_it),
		T(names_of_the_folder_are_found),
		T(a_bundle_can_be_written_anew),
		cmocka_unit_test(what_it_makes_is_known),
		T(nothing_is_done_without_a_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
