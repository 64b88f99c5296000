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
#include "vmm/config_field.h"

#include "base/banned.h"

const char *const vmm_engine_names[] = {"auto", "kvm", "qemu", NULL};
const char *const vmm_root_types[] = {"erofs", "ext4", "share", NULL};

/* QEMU and the block layer take signed 64-bit offsets. */
#define DISK_BYTES_MAX (INT64_MAX / 2)

static const struct field extent_fields[] = {
	FD("fd", struct disk_extent, fd),
	INT("offset", field_u64, struct disk_extent, offset, 0, DISK_BYTES_MAX),
	INT("len", field_u64, struct disk_extent, len, 1, DISK_BYTES_MAX),
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
		r = field_object(extent_fields, json_array_get(v, i),
		                 &d->extents[i], path, err);
		if (r < 0)
			return r;
		if (!num_add(total, d->extents[i].len, &total) ||
		    total > DISK_BYTES_MAX)
			return field_bad(f, where, err,
			                 "are too large together");
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
		r = field_object(layer_fields, json_array_get(v, i),
		                 &d->layers[i], path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct field disk_fields[] = {
	STR("serial", struct vmm_disk, serial, 1, is_name_char),
	{.key = "read_only",
                                                              .read = field_bool,
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
		r = field_object(disk_fields, json_array_get(v, i),
		                 &c->disks[i], path, err);
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
	return field_open_fd(f, v, out, where, is_shared, "folder or file",
	                     err);
}

/* clang-format off */
#define SHARE(key_, fn, least, most)                                           \
	{.key = #key_, .read = fn, .offset = offsetof(struct fs_share, key_),  \
	 .min = least, .max = most}
#define SHARE_OWNER(key_, most)                                                \
	{.key = #key_, .read = field_u32,                                       \
	 .offset = offsetof(struct fs_share, owners.key_), .max = most}
static const struct field share_fields[] = {
	STR("name", struct fs_share, name, 1, is_name_char),
	SHARE(fd, read_shared, VMM_FD_FIRST, INT_MAX),
	SHARE(read_only, field_bool, 0, 0),
	{.key = "cache", .read = field_name,
	 .offset = offsetof(struct fs_share, cache), .names = cache_names},
	{.key = "squash", .read = field_bool,
	 .offset = offsetof(struct fs_share, owners.squash)},
	SHARE_OWNER(uid, UINT32_MAX - 1),
	SHARE_OWNER(gid, UINT32_MAX - 1),
	SHARE(quota_bytes, field_u64, 0, INT64_MAX),
	{.key = "usage_fd", .read = field_fd,
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
		r = field_object(share_fields, json_array_get(v, i),
		                 &c->shares[i], path, err);
		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(c->shares[k].name, c->shares[i].name))
				return field_bad(f, where, err,
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
		return field_bad(f, where, err, "is not a list, or too long");
	for (size_t i = 0; i < n && r == 0; i++) {
		r = field_fd(f, json_array_get(v, i), &c->lock_fds[i], where,
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
	INT("cpus", field_u32, struct vmm_config, cpus, 1, VMM_CPUS_MAX),
	INT("memory_mib", field_u32, struct vmm_config, memory_mib,
            VMM_MEMORY_MIN_MIB, VMM_MEMORY_MAX_MIB),
	INT("boot_timeout_ms", field_u32, struct vmm_config, boot_timeout_ms,
            100, 3600000),
	FD("kernel_fd", struct vmm_config, kernel_fd),
	FD("initramfs_fd", struct vmm_config, initramfs_fd),
	FD_OPTIONAL("console_fd", struct vmm_config, console_fd),
	FD_OPTIONAL("lock_fd", struct vmm_config, lock_fd),
	FD_OPTIONAL("end_fd", struct vmm_config, end_fd),
	SOCKET_OPTIONAL("listen_fd", struct vmm_config, listen_fd),
	{.key = "log_fds",
                                                     .read = field_log_fds,
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
                                                     .read = field_name,
                                                     .offset = offsetof(struct vmm_config, root_type),
                                                     .names = vmm_root_types,
                                                     .optional = true},
	{.key = "root_name",
                                                     .read = field_str,
                                                     .offset = offsetof(struct vmm_config, root_name),
                                                     .min = 1,
                                                     .max = FS_NAME_MAX,
                                                     .allowed = is_name_char,
                                                     .optional = true},
	INT_OPTIONAL("upper_bytes", field_u64, struct vmm_config, upper_bytes,
                     0, INT64_MAX),
	INT_OPTIONAL("max_duration_s", field_u32, struct vmm_config,
                     max_duration_s, 0, UINT32_MAX),
	INT_OPTIONAL("idle_timeout_s", field_u32, struct vmm_config,
                     idle_timeout_s, 0, UINT32_MAX),
	{.key = "net",
                                                     .read = config_net_read,
                                                     .offset = offsetof(struct vmm_config, net),
                                                     .optional = true},
	{.key = "vsock",
                                                     .read = config_vsock_read,
                                                     .offset = offsetof(struct vmm_config, vsock),
                                                     .optional = true},
	{.key = "cas",
                                                     .read = config_text_read,
                                                     .offset = offsetof(struct vmm_config, cas),
                                                     .max = VMM_CAS_MAX,
                                                     .optional = true},
	{.key = "disks",
                                                     .read = read_disks,
                                                     .offset = offsetof(struct vmm_config, disks)},
	{0		 },
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
		r = field_object(config_fields, j, ret, "", err);
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
	config_net_release(&c->net);
	free(c->cas);
	memset(c, 0, sizeof(*c));
}
