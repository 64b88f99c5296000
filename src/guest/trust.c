#include "guest/trust.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "guest/certs.h"

#include "base/banned.h"

#define HASHED_MAX  4  /* of more, only the last, which is the interception's */
#define HASHED_TRY  10 /* HASH.0 to HASH.9 */
#define ENTRIES_MAX 64 /* of a folder that may have Java's in it */

struct trust {
	struct cover *c;
	struct bytes more; /* BOOT.cas */
	struct buf own;    /* the first bundle of the image, as it is there */
};

/* ---- variables ---- */

/*
 * Those that replace a program's list get the whole bundle; those that add to
 * it only what is ours. None is printed by the program that takes it, as Java
 * does with JAVA_TOOL_OPTIONS: that is why Java gets key stores.
 */
static char *const variables[] = {
	"SSL_CERT_FILE=" TRUST_BUNDLE, /* OpenSSL, Go, Rust, Ruby, httpx, uv */
	"CURL_CA_BUNDLE=" TRUST_BUNDLE,
	"REQUESTS_CA_BUNDLE=" TRUST_BUNDLE,
	"PIP_CERT=" TRUST_BUNDLE,
	"GIT_SSL_CAINFO=" TRUST_BUNDLE,
	"CARGO_HTTP_CAINFO=" TRUST_BUNDLE,
	"AWS_CA_BUNDLE=" TRUST_BUNDLE,
	"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE=" TRUST_BUNDLE,
	"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=" TRUST_BUNDLE,
	"NIX_SSL_CERT_FILE=" TRUST_BUNDLE,
	"HEX_CACERTS_PATH=" TRUST_BUNDLE,
	"BUNDLE_SSL_CA_CERT=" TRUST_BUNDLE,
	"HTTPLIB2_CA_CERTS=" TRUST_BUNDLE,
	"WEBSOCKET_CLIENT_CA_BUNDLE=" TRUST_BUNDLE,
	"NODE_EXTRA_CA_CERTS=" TRUST_MORE,
	"DENO_CERT=" TRUST_MORE,
	NULL,
};

char *const *trust_variables(void)
{
	return variables;
}

#define PROFILE "etc/profile.d/msb-trust.sh"
#define SYSTEMD "etc/systemd/system.conf.d/50-msb-trust.conf"

static void cover_profile(struct trust *t)
{
	struct buf cleanup_buf text = BUF_INIT_MAX(8u << 10);
	cleanup_close int fd = cover_folder(t->c->root_fd, "/etc/profile.d");

	if (fd < 0)
		return;
	(void)buf_adds(&text, "# microsandbox: certificates, for login "
	                      "shells\nif [ -e " TRUST_BUNDLE " ]; then\n");
	for (char *const *v = variables; *v; v++) {
		int len = (int)strcspn(*v, "=");

		(void)buf_printf(&text, "\texport %.*s=\"${%.*s:-%s}\"\n", len,
		                 *v, len, *v, *v + len + 1);
	}
	if (buf_adds(&text, "fi\n") == 0)
		cover_path(t->c, "/" PROFILE, &text);
}

/* Its services do not get what the init itself has. */
static void cover_systemd(struct trust *t)
{
	struct buf cleanup_buf text = BUF_INIT_MAX(8u << 10);
	cleanup_close int fd = cover_folder(t->c->root_fd, "/etc/systemd");

	if (fd < 0)
		return;
	(void)buf_adds(&text, "[Manager]\nDefaultEnvironment=");
	for (char *const *v = variables; *v; v++)
		(void)buf_printf(&text, "%s%s", *v, v[1] ? " " : "\n");
	if (buf_ok(&text))
		cover_path(t->c, "/" SYSTEMD, &text);
}

/* ---- bundles ---- */

/* One file that has all certificates, as each family of systems keeps it. */
static const char *const stores[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
	"/etc/ssl/cert.pem",                  /* Alpine, BSD's ways */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Red Hat */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem", /* SUSE */
	"/var/lib/ca-certificates/ca-bundle.pem",
};

static int add_more(const struct trust *t, struct buf *text)
{
	if (text->len && text->data[text->len - 1] != '\n')
		(void)buf_addc(text, '\n');
	return buf_add(text, t->more.p, t->more.n);
}

static int trust_in(struct trust *t, int target)
{
	struct buf cleanup_buf text =
		BUF_INIT_MAX(TRUST_STORE_MAX + t->more.n + 2);
	int r = cover_read(target, &text);

	if (r == 0 && text.len > TRUST_STORE_MAX)
		r = -E2BIG;
	if (r == 0 && t->own.len == 0)
		r = buf_add(&t->own, text.data, text.len);
	if (r == 0)
		r = add_more(t, &text);
	return r < 0 ? r : cover_fd(t->c, target, &text);
}

static void complain(const char *path, int r)
{
	if (r < 0 && r != -ENOENT)
		log_warn("cannot add certificates to %s: %s", path,
		         strerror(-r));
}

static void cover_stores(struct trust *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(stores); i++) {
		cleanup_close int fd =
			cover_open(t->c->root_fd, stores[i], false);
		int r = fd;

		if (fd >= 0)
			r = cover_has(t->c, fd) ? 0 : trust_in(t, fd);
		complain(stores[i], r);
	}
}

static void cover_bundle(struct trust *t)
{
	struct buf cleanup_buf text =
		BUF_INIT_MAX(TRUST_STORE_MAX + t->more.n + 2);

	if (buf_add(&text, t->own.data, t->own.len) == 0 &&
	    add_more(t, &text) == 0)
		cover_path(t->c, TRUST_BUNDLE, &text);
}

static void uncover(int root_fd, dev_t dev, const char *path)
{
	cleanup_close int fd = cover_open(root_fd, path, false);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == dev)
		cover_off(fd);
}

void trust_uncover(int root_fd, dev_t dev, bool bundle)
{
	for (size_t i = 0; i < ARRAY_SIZE(stores); i++)
		uncover(root_fd, dev, stores[i]);
	if (bundle)
		uncover(root_fd, dev, TRUST_BUNDLE);
}

/* ---- OpenSSL's folder ---- */

#define HASHED "etc/ssl/certs/"

bool trust_made(const char *path, uint64_t size)
{
	const char *name = path + strlen(HASHED);

	if (size > 0)
		return false;
	if (strcmp(path, PROFILE) == 0 || strcmp(path, SYSTEMD) == 0)
		return true;
	return strncmp(path, HASHED, strlen(HASHED)) == 0 &&
	       strspn(name, "0123456789abcdef") == 8 && name[8] == '.' &&
	       strspn(name + 9, "0123456789") == 1 && name[10] == '\0';
}

/* A name that is free, or has the empty file of an earlier start. */
static int hashed_open(int root_fd, uint32_t hash)
{
	for (unsigned i = 0; i < HASHED_TRY; i++) {
		char path[40];
		struct stat st;
		int fd;

		(void)snprintf(path, sizeof(path), "/" HASHED "%08x.%u", hash,
		               i);
		fd = cover_open(root_fd, path, true);
		if (fd < 0)
			return fd;
		if (fstat(fd, &st) == 0 && st.st_size == 0)
			return fd;
		(void)close(fd);
	}
	return -EEXIST;
}

static int cover_hashed_one(struct trust *t, const struct buf *der,
                            struct bytes pem)
{
	struct buf cleanup_buf text = BUF_INIT_MAX(pem.n + 1);
	cleanup_close int fd = -1;
	uint32_t hash;
	int r = certs_hash((struct bytes){der->data, der->len}, &hash);

	if (r == 0)
		fd = r = hashed_open(t->c->root_fd, hash);
	if (r < 0)
		return r;
	(void)buf_add(&text, pem.p, pem.n);
	r = buf_addc(&text, '\n');
	return r < 0 ? r : cover_fd(t->c, fd, &text);
}

static void cover_hashed(struct trust *t)
{
	cleanup_close int folder = cover_folder(t->c->root_fd, "/" HASHED);
	struct buf cleanup_buf der = BUF_INIT;
	struct bytes pem;
	size_t pos;

	if (folder < 0)
		return;
	pos = certs_tail(t->more, HASHED_MAX);
	while (certs_next(t->more, &pos, &der, &pem) > 0)
		complain("/" HASHED, cover_hashed_one(t, &der, pem));
}

/* ---- Java ---- */

/* Where a Java may be: itself, or in a folder of this one. */
static const char *const java_homes[] = {
	"/opt/java/openjdk",
	"/opt/jdk",
	"/opt/jre",
};
static const char *const java_folders[] = {
	"/usr/lib/jvm", "/usr/lib64/jvm", "/usr/java",
	"/usr/local",   "/opt",           "/opt/java",
};
static const char *const java_stores[] = {
	"/etc/ssl/certs/java/cacerts",
	"/etc/pki/ca-trust/extracted/java/cacerts",
	"/etc/pki/java/cacerts",
};

static int trust_java(struct trust *t, int target)
{
	struct buf cleanup_buf old = BUF_INIT_MAX(TRUST_STORE_MAX);
	struct buf cleanup_buf text =
		BUF_INIT_MAX(2 * TRUST_STORE_MAX + t->more.n);
	struct timespec now;
	int r = cover_read(target, &old);

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (r == 0)
		r = certs_java((struct bytes){old.data, old.len},
		               (struct bytes){t->own.data, t->own.len}, t->more,
		               (uint64_t)now.tv_sec * 1000, &text);
	return r < 0 ? r : cover_fd(t->c, target, &text);
}

static void cover_java_store(struct trust *t, const char *path)
{
	cleanup_close int fd = cover_open(t->c->root_fd, path, false);
	int r = fd;

	if (fd >= 0)
		r = cover_has(t->c, fd) ? 0 : trust_java(t, fd);
	if (r != -ENOTDIR)
		complain(path, r);
}

static void cover_java_home(struct trust *t, const char *home)
{
	static const char *const below[] = {"lib/security/cacerts",
	                                    "jre/lib/security/cacerts"};
	char path[512];

	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		int n = snprintf(path, sizeof(path), "%s/%s", home, below[i]);

		if (n > 0 && (size_t)n < sizeof(path))
			cover_java_store(t, path);
	}
}

static void cover_java_folder(struct trust *t, const char *folder)
{
	int fd = cover_folder(t->c->root_fd, folder);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	char home[384];

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	for (int i = 0; i < ENTRIES_MAX && (e = readdir(d)); i++) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(home, sizeof(home), "%s/%s", folder, e->d_name);
		cover_java_home(t, home);
	}
	(void)closedir(d);
}

static void cover_java(struct trust *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(java_stores); i++)
		cover_java_store(t, java_stores[i]);
	for (size_t i = 0; i < ARRAY_SIZE(java_homes); i++)
		cover_java_home(t, java_homes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(java_folders); i++)
		cover_java_folder(t, java_folders[i]);
}

/* ---- all ---- */

static struct trust trust_of(struct cover *c, const struct proto_bytes *cas)
{
	return (struct trust){
		.c = c,
		.more = {cas->p, cas->n},
		.own = BUF_INIT_MAX(TRUST_STORE_MAX)
        };
}

void trust_bundles(struct cover *c, const struct proto_bytes *cas)
{
	struct trust t = trust_of(c, cas);

	cover_stores(&t);
	cover_bundle(&t);
	buf_release(&t.own);
}

void trust_provide(struct cover *c, const struct proto_bytes *cas, bool init)
{
	struct trust t = trust_of(c, cas);

	cover_stores(&t);
	cover_bundle(&t);
	cover_hashed(&t);
	cover_java(&t);
	cover_profile(&t);
	if (init)
		cover_systemd(&t);
	buf_release(&t.own);
}
