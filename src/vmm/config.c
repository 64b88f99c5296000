#include "vmm/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"

#include "base/banned.h"

const char *const vmm_engine_names[] = {"auto", "kvm", "qemu", NULL};
const char *const vmm_root_types[] = {"erofs", "ext4", "share", NULL};

/*
 * One key of a JSON object: where its value goes and what it may be. The
 * meaning of min, max, names and allowed is the reader's.
 */
struct field {
	const char *key;
	int (*read)(const struct field *f, const json_t *v, void *out,
	            const char *where, struct err *err);
	size_t offset;
	int64_t min, max;
	const char *const *names;
	bool (*allowed)(int c);
	bool optional;
};

static int bad(const struct field *f, const char *where, struct err *err,
               const char *what)
{
	return err_set(err, -EINVAL, "config: %s%s %s", where, f->key, what);
}

static const struct field *field_find(const struct field *f, const char *key)
{
	for (; f->key; f++)
		if (strcmp(f->key, key) == 0)
			return f;
	return NULL;
}

/* Fill the struct at @base from @o; @fields ends with a key of NULL. */
static int read_object(const struct field *fields, const json_t *o, void *base,
                       const char *where, struct err *err)
{
	const char *key;
	json_t *v;

	if (!json_is_object(o))
		return err_set(err, -EINVAL, "config: %s is not an object",
		               *where ? where : "it");
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		if (!field_find(fields, key))
			return err_set(err, -EINVAL,
			               "config: unknown key \"%s%s\"", where,
			               key);
	}
	for (const struct field *f = fields; f->key; f++) {
		int r;

		v = json_object_get(o, f->key);
		if (!v && f->optional)
			continue;
		if (!v)
			return bad(f, where, err, "is missing");
		r = f->read(f, v, (char *)base + f->offset, where, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Into a char array of max + 1 bytes: at least min bytes, all allowed. */
static int read_str(const struct field *f, const json_t *v, void *out,
                    const char *where, struct err *err)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);

	if (!s)
		return bad(f, where, err, "is not a string");
	if (len < (size_t)f->min)
		return bad(f, where, err, "is empty");
	if (len > (size_t)f->max)
		return err_set(err, -EINVAL,
		               "config: %s%s is longer than %lld bytes", where,
		               f->key, (long long)f->max);
	for (size_t i = 0; i < len; i++)
		if (!f->allowed((unsigned char)s[i]))
			return bad(f, where, err,
			           "has a character that is not allowed");
	memcpy(out, s, len + 1);
	return 0;
}

static int check_int(const struct field *f, const json_t *v, const char *where,
                     struct err *err)
{
	if (!json_is_integer(v))
		return bad(f, where, err, "is not a whole number");
	if (json_integer_value(v) >= f->min && json_integer_value(v) <= f->max)
		return 0;
	return err_set(err, -EINVAL,
	               "config: %s%s is %lld, not between %lld and %lld", where,
	               f->key, (long long)json_integer_value(v),
	               (long long)f->min, (long long)f->max);
}

static int read_u32(const struct field *f, const json_t *v, void *out,
                    const char *where, struct err *err)
{
	int r = check_int(f, v, where, err);

	if (r == 0)
		*(uint32_t *)out = (uint32_t)json_integer_value(v);
	return r;
}

static int read_u64(const struct field *f, const json_t *v, void *out,
                    const char *where, struct err *err)
{
	int r = check_int(f, v, where, err);

	if (r == 0)
		*(uint64_t *)out = (uint64_t)json_integer_value(v);
	return r;
}

static int read_bool(const struct field *f, const json_t *v, void *out,
                     const char *where, struct err *err)
{
	if (!json_is_boolean(v))
		return bad(f, where, err, "is neither true nor false");
	*(bool *)out = json_is_true(v);
	return 0;
}

static int read_name(const struct field *f, const json_t *v, void *out,
                     const char *where, struct err *err)
{
	const char *s = json_string_value(v);

	for (unsigned i = 0; s && f->names[i]; i++) {
		if (strcmp(s, f->names[i]) == 0) {
			*(unsigned *)out = i;
			return 0;
		}
	}
	return bad(f, where, err, "is none of the known ones");
}

/* An open descriptor, of a kind that @ok says. */
static int take_open_fd(const struct field *f, const json_t *v, int *out,
                        const char *where, bool (*ok)(mode_t mode),
                        const char *kind, struct err *err)
{
	struct stat st;
	int fd, r;

	r = check_int(f, v, where, err);
	if (r < 0)
		return r;
	fd = (int)json_integer_value(v);
	if (fstat(fd, &st) < 0)
		return err_set(err, -EBADF,
		               "config: %s%s: descriptor %d is not open", where,
		               f->key, fd);
	if (!ok(st.st_mode))
		return err_set(err, -EINVAL,
		               "config: %s%s: descriptor %d is not a %s", where,
		               f->key, fd, kind);
	r = fd_set_cloexec(fd, 1);
	if (r < 0)
		return err_set(err, r, "config: %s%s", where, f->key);
	*out = fd;
	return 0;
}

/* A memfd is a regular file, too. */
static bool is_file(mode_t mode)
{
	return S_ISREG(mode) || S_ISBLK(mode);
}

static int read_fd(const struct field *f, const json_t *v, void *out,
                   const char *where, struct err *err)
{
	return take_open_fd(f, v, out, where, is_file, "file", err);
}

/* Two files that can be read and written anywhere. */
static int read_log_fds(const struct field *f, const json_t *v, void *out,
                        const char *where, struct err *err)
{
	int fds[2] = {-1, -1};

	if (!json_is_array(v) || json_array_size(v) != 2)
		return bad(f, where, err, "is not a list of two");
	for (size_t i = 0; i < 2; i++) {
		int flags, r = read_fd(f, json_array_get(v, i), &fds[i], where,
		                       err);

		if (r < 0)
			return r;
		flags = fcntl(fds[i], F_GETFL);
		if (flags < 0 || (flags & O_ACCMODE) != O_RDWR ||
		    flags & O_APPEND)
			return bad(f, where, err,
			           "is not open for reading and writing "
			           "anywhere");
	}
	if (fds[0] == fds[1])
		return bad(f, where, err, "names one file twice");
	memcpy(out, fds, sizeof(fds));
	return 0;
}

static bool is_socket(mode_t mode)
{
	return S_ISSOCK(mode);
}

static int read_socket(const struct field *f, const json_t *v, void *out,
                       const char *where, struct err *err)
{
	return take_open_fd(f, v, out, where, is_socket, "socket", err);
}

static bool is_name_char(int c)
{
	return isascii(c) && (isalnum(c) || c == '-' || c == '.' || c == '_');
}

static bool is_printable(int c)
{
	return c >= 0x20 && c < 0x7f;
}

static bool is_path_char(int c)
{
	return c >= 0x20 && c != 0x7f;
}

/* clang-format off */
#define STR(key_, T, m, least, ok)                                             \
	{.key = key_, .read = read_str, .offset = offsetof(T, m),              \
	 .min = least, .max = sizeof(((T *)0)->m) - 1, .allowed = ok}
#define INT(key_, fn, T, m, least, most)                                       \
	{.key = key_, .read = fn, .offset = offsetof(T, m), .min = least,      \
	 .max = most}
#define FD(key_, T, m)                                                         \
	{.key = key_, .read = read_fd, .offset = offsetof(T, m),               \
	 .min = VMM_FD_FIRST, .max = INT_MAX}
#define FD_OPTIONAL(key_, T, m)                                                \
	{.key = key_, .read = read_fd, .offset = offsetof(T, m),               \
	 .min = VMM_FD_FIRST, .max = INT_MAX, .optional = true}
#define SOCKET_OPTIONAL(key_, T, m)                                            \
	{.key = key_, .read = read_socket, .offset = offsetof(T, m),           \
	 .min = VMM_FD_FIRST, .max = INT_MAX, .optional = true}
#define STRS_OPTIONAL(key_, T, m, most, bytes)                                 \
	{.key = key_, .read = read_strs, .offset = offsetof(T, m),             \
	 .min = bytes, .max = most, .optional = true}
#define INT_OPTIONAL(key_, fn, T, m, least, most)                              \
	{.key = key_, .read = fn, .offset = offsetof(T, m), .min = least,      \
	 .max = most, .optional = true}
#define NAME(key_, T, m, list)                                                 \
	{.key = key_, .read = read_name, .offset = offsetof(T, m),             \
	 .names = list}
/* clang-format on */

/* A list of strings: at most max of them, min bytes together (a bound). */
static int read_strs(const struct field *f, const json_t *v, void *out,
                     const char *where, struct err *err)
{
	struct strv *list = out;
	size_t bytes = 0, n = json_array_size(v);

	if (!json_is_array(v) || n > (size_t)f->max)
		return err_set(err, -EINVAL,
		               "config: %s%s is not a list of at most %lld",
		               where, f->key, (long long)f->max);
	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_array_get(v, i);
		const char *s = json_string_value(e);
		size_t len = json_string_length(e);

		if (!s)
			return bad(f, where, err, "has what is no string");
		bytes += len;
		if (bytes > (size_t)f->min)
			return err_set(err, -E2BIG,
			               "config: %s%s has more than %lld bytes",
			               where, f->key, (long long)f->min);
		if (strv_addn(list, s, len) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* QEMU and the block layer take signed 64-bit offsets. */
#define DISK_BYTES_MAX (INT64_MAX / 2)

static const struct field extent_fields[] = {
	FD("fd", struct disk_extent, fd),
	INT("offset", read_u64, struct disk_extent, offset, 0, DISK_BYTES_MAX),
	INT("len", read_u64, struct disk_extent, len, 1, DISK_BYTES_MAX),
	{0},
};

static int read_extents(const struct field *f, const json_t *v, void *out,
                        const char *where, struct err *err)
{
	struct vmm_disk *d =
		(void *)((char *)out - offsetof(struct vmm_disk, extents));
	size_t n = json_array_size(v);
	uint64_t total = 0;
	char path[96];

	if (!json_is_array(v) || n == 0 || n > VMM_EXTENTS_MAX)
		return err_set(err, -EINVAL,
		               "config: %s%s is not a list of 1 to %d", where,
		               f->key, VMM_EXTENTS_MAX);
	d->extents = calloc(n, sizeof(*d->extents));
	if (!d->extents)
		return err_set(err, -ENOMEM, "out of memory");
	d->nextents = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		int r;

		(void)snprintf(path, sizeof(path), "%s%s[%zu].", where, f->key,
		               i);
		r = read_object(extent_fields, json_array_get(v, i),
		                &d->extents[i], path, err);
		if (r < 0)
			return r;
		if (!num_add(total, d->extents[i].len, &total) ||
		    total > DISK_BYTES_MAX)
			return bad(f, where, err, "are too large together");
	}
	return 0;
}

static const struct field layer_fields[] = {
	FD("fd", struct disk_layer, fd),
	NAME("format", struct disk_layer, format, disk_format_names),
	{0},
};

static int read_layers(const struct field *f, const json_t *v, void *out,
                       const char *where, struct err *err)
{
	struct vmm_disk *d =
		(void *)((char *)out - offsetof(struct vmm_disk, layers));
	size_t n = json_array_size(v);
	char path[96];

	if (!json_is_array(v) || n == 0 || n > DISK_LAYERS_MAX)
		return err_set(err, -EINVAL,
		               "config: %s%s is not a list of 1 to %d", where,
		               f->key, DISK_LAYERS_MAX);
	d->layers = calloc(n, sizeof(*d->layers));
	if (!d->layers)
		return err_set(err, -ENOMEM, "out of memory");
	d->nlayers = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		int r;

		(void)snprintf(path, sizeof(path), "%s%s[%zu].", where, f->key,
		               i);
		r = read_object(layer_fields, json_array_get(v, i),
		                &d->layers[i], path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct field disk_fields[] = {
	STR("serial", struct vmm_disk, serial, 1, is_name_char),
	{.key = "read_only",
                                                              .read = read_bool,
                                                              .offset = offsetof(struct vmm_disk, read_only)},
	{.key = "extents",
                                                              .read = read_extents,
                                                              .offset = offsetof(struct vmm_disk, extents),
                                                              .optional = true},
	{.key = "layers",
                                                              .read = read_layers,
                                                              .offset = offsetof(struct vmm_disk, layers),
                                                              .optional = true},
	{0	      },
};

static int read_disks(const struct field *f, const json_t *v, void *out,
                      const char *where, struct err *err)
{
	struct vmm_config *c =
		(void *)((char *)out - offsetof(struct vmm_config, disks));
	size_t n = json_array_size(v);
	char path[64];

	if (!json_is_array(v) || n == 0 || n > VMM_DISKS_MAX)
		return err_set(err, -EINVAL,
		               "config: %s%s is not a list of 1 to %d", where,
		               f->key, VMM_DISKS_MAX);
	for (size_t i = 0; i < n; i++) {
		int r;

		(void)snprintf(path, sizeof(path), "%s[%zu].", f->key, i);
		c->ndisks = (unsigned)i + 1;
		r = read_object(disk_fields, json_array_get(v, i), &c->disks[i],
		                path, err);
		if (r < 0)
			return r;
		if (!c->disks[i].nextents == !c->disks[i].nlayers)
			return err_set(err, -EINVAL,
			               "config: %s has not one of extents "
			               "and layers",
			               path);
	}
	return 0;
}

/* ---- shares ---- */

/* In the order of enum fs_cache. */
static const char *const cache_names[] = {"auto", "always", "none", NULL};

static bool is_shared(mode_t mode)
{
	return S_ISDIR(mode) || S_ISREG(mode);
}

static int read_shared(const struct field *f, const json_t *v, void *out,
                       const char *where, struct err *err)
{
	return take_open_fd(f, v, out, where, is_shared, "folder or file", err);
}

/* clang-format off */
#define SHARE(key_, fn, least, most)                                           \
	{.key = #key_, .read = fn, .offset = offsetof(struct fs_share, key_),  \
	 .min = least, .max = most}
#define SHARE_OWNER(key_, most)                                                \
	{.key = #key_, .read = read_u32,                                       \
	 .offset = offsetof(struct fs_share, owners.key_), .max = most}
static const struct field share_fields[] = {
	STR("name", struct fs_share, name, 1, is_name_char),
	SHARE(fd, read_shared, VMM_FD_FIRST, INT_MAX),
	SHARE(read_only, read_bool, 0, 0),
	{.key = "cache", .read = read_name,
	 .offset = offsetof(struct fs_share, cache), .names = cache_names},
	{.key = "squash", .read = read_bool,
	 .offset = offsetof(struct fs_share, owners.squash)},
	SHARE_OWNER(uid, UINT32_MAX - 1),
	SHARE_OWNER(gid, UINT32_MAX - 1),
	SHARE(quota_bytes, read_u64, 0, INT64_MAX),
	{.key = "usage_fd", .read = read_fd,
	 .offset = offsetof(struct fs_share, usage_fd), .min = VMM_FD_FIRST,
	 .max = INT_MAX, .optional = true},
	{0},
};
/* clang-format on */

static int read_shares(const struct field *f, const json_t *v, void *out,
                       const char *where, struct err *err)
{
	struct vmm_config *c =
		(void *)((char *)out - offsetof(struct vmm_config, shares));
	size_t n = json_array_size(v);
	char path[64];

	if (!json_is_array(v) || n > VMM_SHARES_MAX)
		return err_set(err, -EINVAL,
		               "config: %s%s is not a list of at most %d",
		               where, f->key, VMM_SHARES_MAX);
	for (size_t i = 0; i < n; i++) {
		int r;

		(void)snprintf(path, sizeof(path), "%s[%zu].", f->key, i);
		c->nshares = (unsigned)i + 1;
		c->shares[i].usage_fd = -1;
		r = read_object(share_fields, json_array_get(v, i),
		                &c->shares[i], path, err);
		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(c->shares[k].name, c->shares[i].name))
				return bad(f, where, err,
				           "has two of one name");
	}
	return 0;
}

static int read_locks(const struct field *f, const json_t *v, void *out,
                      const char *where, struct err *err)
{
	struct vmm_config *c =
		(void *)((char *)out - offsetof(struct vmm_config, lock_fds));
	size_t n = json_array_size(v);
	int r = 0;

	if (!json_is_array(v) || n > VMM_LOCKS_MAX)
		return bad(f, where, err, "is not a list, or too long");
	for (size_t i = 0; i < n && r == 0; i++) {
		r = read_fd(f, json_array_get(v, i), &c->lock_fds[i], where,
		            err);
		c->nlocks += r == 0;
	}
	return r;
}

static const struct field config_fields[] = {
	STR("name", struct vmm_config, name, 1, is_name_char),
	STR("hostname", struct vmm_config, hostname, 1, is_name_char),
	STR("qemu", struct vmm_config, qemu, 0, is_path_char),
	STR("cmdline", struct vmm_config, cmdline, 0, is_printable),
	NAME("engine", struct vmm_config, engine, vmm_engine_names),
	NAME("accel", struct vmm_config, accel, accel_names),
	INT("cpus", read_u32, struct vmm_config, cpus, 1, VMM_CPUS_MAX),
	INT("memory_mib", read_u32, struct vmm_config, memory_mib,
            VMM_MEMORY_MIN_MIB, VMM_MEMORY_MAX_MIB),
	INT("boot_timeout_ms", read_u32, struct vmm_config, boot_timeout_ms,
            100, 3600000),
	FD("kernel_fd", struct vmm_config, kernel_fd),
	FD("initramfs_fd", struct vmm_config, initramfs_fd),
	FD_OPTIONAL("console_fd", struct vmm_config, console_fd),
	FD_OPTIONAL("lock_fd", struct vmm_config, lock_fd),
	FD_OPTIONAL("end_fd", struct vmm_config, end_fd),
	SOCKET_OPTIONAL("listen_fd", struct vmm_config, listen_fd),
	{.key = "log_fds",
                                                     .read = read_log_fds,
                                                     .offset = offsetof(struct vmm_config, log_fds),
                                                     .min = VMM_FD_FIRST,
                                                     .max = INT_MAX,
                                                     .optional = true},
	STRS_OPTIONAL("scripts", struct vmm_config, scripts,
                      2 * VMM_SCRIPTS_MAX, VMM_SCRIPTS_BYTES),
	STRS_OPTIONAL("init", struct vmm_config, init, VMM_INIT_MAX,
                      VMM_INIT_BYTES),
	STRS_OPTIONAL("init_env", struct vmm_config, init_env, VMM_INIT_MAX,
                      VMM_INIT_BYTES),
	STRS_OPTIONAL("mounts", struct vmm_config, mounts, 4 * VMM_MOUNTS_MAX,
                      VMM_MOUNTS_BYTES),
	{.key = "shares",
                                                     .read = read_shares,
                                                     .offset = offsetof(struct vmm_config, shares),
                                                     .optional = true},
	{.key = "lock_fds",
                                                     .read = read_locks,
                                                     .offset = offsetof(struct vmm_config, lock_fds),
                                                     .min = VMM_FD_FIRST,
                                                     .max = INT_MAX,
                                                     .optional = true},
	{.key = "root_type",
                                                     .read = read_name,
                                                     .offset = offsetof(struct vmm_config, root_type),
                                                     .names = vmm_root_types,
                                                     .optional = true},
	{.key = "root_name",
                                                     .read = read_str,
                                                     .offset = offsetof(struct vmm_config, root_name),
                                                     .min = 1,
                                                     .max = FS_NAME_MAX,
                                                     .allowed = is_name_char,
                                                     .optional = true},
	INT_OPTIONAL("upper_bytes", read_u64, struct vmm_config, upper_bytes, 0,
                     INT64_MAX),
	INT_OPTIONAL("max_duration_s", read_u32, struct vmm_config,
                     max_duration_s, 0, UINT32_MAX),
	INT_OPTIONAL("idle_timeout_s", read_u32, struct vmm_config,
                     idle_timeout_s, 0, UINT32_MAX),
	{.key = "disks",
                                                     .read = read_disks,
                                                     .offset = offsetof(struct vmm_config, disks)},
	{0		    },
};

const struct vmm_disk *config_disk(const struct vmm_config *c,
                                   const char *serial)
{
	for (unsigned i = 0; i < c->ndisks; i++)
		if (strcmp(c->disks[i].serial, serial) == 0)
			return &c->disks[i];
	return NULL;
}

/* Each by a name of its own that devices.c has a line for. */
static int check_serials(const struct vmm_config *c, struct err *err)
{
	static const char *const known[] = {"root",  "upper", "disk0",
	                                    "disk1", "disk2", "disk3"};

	_Static_assert(ARRAY_SIZE(known) == VMM_DISKS_MAX, "as many as can be");
	for (unsigned i = 0; i < c->ndisks; i++) {
		const char *serial = c->disks[i].serial;
		size_t k = 0;

		while (k < ARRAY_SIZE(known) && strcmp(known[k], serial) != 0)
			k++;
		if (k == ARRAY_SIZE(known))
			return err_set(
				err, -EINVAL,
				"config: disks: \"%s\" is neither "
				"\"root\" nor \"upper\" nor \"disk0\" to "
				"\"disk3\"",
				serial);
		if (config_disk(c, serial) != &c->disks[i])
			return err_set(err, -EINVAL,
			               "config: disks: two are \"%s\"", serial);
	}
	return 0;
}

/* What no single value shows. */
static int check_disks(const struct vmm_config *c, struct err *err)
{
	const struct vmm_disk *root = config_disk(c, "root");
	bool is_share = !strcmp(vmm_root_types[c->root_type], "share");

	if (!root && !is_share)
		return err_set(err, -EINVAL,
		               "config: disks: none has the serial \"root\"");
	if (root && !root->read_only) /* sandboxes share its layers */
		return err_set(err, -EINVAL,
		               "config: disks: root is not read-only");
	return check_serials(c, err);
}

/* The kvm engine has nothing that could run without KVM. */
static int check_accel(const struct vmm_config *c, struct err *err)
{
	if (strcmp(vmm_engine_names[c->engine], "kvm") == 0 &&
	    c->accel == ACCEL_TCG)
		return err_set(err, -EINVAL,
		               "config: accel is \"tcg\", which the kvm engine "
		               "cannot do");
	return 0;
}

/* A file's name and nothing else, in a folder that has only such. */
static bool is_script_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > NAME_MAX || *s == '.')
		return false;
	for (; *s; s++)
		if (!is_name_char((unsigned char)*s))
			return false;
	return true;
}

static int check_scripts(const struct vmm_config *c, struct err *err)
{
	if (c->scripts.n % 2)
		return err_set(err, -EINVAL,
		               "config: scripts: a name without a script");
	for (size_t i = 0; i < c->scripts.n; i += 2)
		if (!is_script_name(c->scripts.v[i]))
			return err_set(err, -EINVAL,
			               "config: scripts: the name of number "
			               "%zu is no file name of letters, "
			               "digits, '.', '-' and '_'",
			               i / 2 + 1);
	return 0;
}

static int check_mounts(const struct vmm_config *c, struct err *err)
{
	return c->mounts.n % 4 == 0
	               ? 0
	               : err_set(err, -EINVAL,
	                         "config: mounts: not four strings each");
}

static int check_init(const struct vmm_config *c, struct err *err)
{
	const char *program = c->init.n ? c->init.v[0] : "auto";

	if (*program != '/' && strcmp(program, "auto") != 0)
		return err_set(err, -EINVAL,
		               "config: init: the program is neither an "
		               "absolute path nor \"auto\"");
	if (c->init_env.n && !c->init.n)
		return err_set(err, -EINVAL, "config: init_env without init");
	for (size_t i = 0; i < c->init_env.n; i++) {
		const char *s = c->init_env.v[i], *eq = strchr(s, '=');

		if (!eq || eq == s)
			return err_set(err, -EINVAL,
			               "config: init_env: number %zu is not "
			               "KEY=VALUE",
			               i + 1);
	}
	return 0;
}

/* The version first: of another one the keys may differ. */
static int check_version(json_t *j, struct err *err)
{
	int64_t version = json_int(j, "version", -1);

	if (!json_is_object(j))
		return err_set(err, -EINVAL, "config: it is not an object");
	if (version != VMM_CONFIG_VERSION)
		return err_set(err, -EPROTONOSUPPORT,
		               "config: version is %lld, this msb-vmm takes "
		               "%d",
		               (long long)version, VMM_CONFIG_VERSION);
	(void)json_object_del(j, "version");
	return 0;
}

int config_parse(struct vmm_config *ret, const void *data, size_t len,
                 struct err *err)
{
	json_t *cleanup_json j = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->kernel_fd = ret->initramfs_fd = ret->console_fd = -1;
	ret->listen_fd = ret->lock_fd = ret->end_fd = -1;
	ret->log_fds[0] = ret->log_fds[1] = -1;
	(void)snprintf(ret->root_name, sizeof(ret->root_name), "root");
	j = json_parse(data, len, "the config", err);
	if (!j)
		return -EBADMSG;
	r = check_version(j, err);
	if (r == 0)
		r = read_object(config_fields, j, ret, "", err);
	if (r == 0)
		r = check_disks(ret, err);
	if (r == 0)
		r = check_accel(ret, err);
	if (r == 0)
		r = check_scripts(ret, err);
	if (r == 0)
		r = check_init(ret, err);
	if (r == 0)
		r = check_mounts(ret, err);
	return r;
}

int config_read(struct vmm_config *ret, int fd, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(VMM_CONFIG_MAX);
	int r;

	memset(ret, 0, sizeof(*ret));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_set(err, -errno, "cannot read the config: %s",
		               strerror(errno));
	r = fd_read_all(fd, &b);
	if (r < 0)
		return err_set(err, r, "cannot read the config: %s",
		               strerror(-r));
	return config_parse(ret, b.data, b.len, err);
}

void config_release(struct vmm_config *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->ndisks; i++) {
		free(c->disks[i].extents);
		free(c->disks[i].layers);
	}
	strv_release(&c->scripts);
	strv_release(&c->init);
	strv_release(&c->init_env);
	strv_release(&c->mounts);
	memset(c, 0, sizeof(*c));
}
