#include "lib/defaults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"

#include "base/banned.h"

#define FILE_MAX (64u << 10)

/* Where a value came from: for the error of a contradiction. */
#define FROM_MAX 512

const char *const defaults_engines[DEFAULTS_ENGINES] = {
	[MSB_ENGINE_AUTO] = "auto",
	[MSB_ENGINE_KVM] = "kvm",
	[MSB_ENGINE_QEMU] = "qemu",
};

const char *const defaults_accels[DEFAULTS_ACCELS] = {
	[MSB_ACCEL_TCG] = "tcg",
	[MSB_ACCEL_KVM] = "kvm",
	[MSB_ACCEL_AUTO] = "auto",
};

/* One value of the file: a name of a list, or a number. 0: not given. */
struct key {
	const char *name;
	const char *const *names; /* NULL: a number */
	int64_t min, max;
};

enum { KEY_CPUS, KEY_MEMORY, KEY_ENGINE, KEY_ACCEL, KEYS };

static const struct key keys[KEYS] = {
	[KEY_CPUS] = {"cpus",       NULL,             1,                    MSB_CPUS_MAX        },
	[KEY_MEMORY] = {"memory_mib", NULL,             MSB_MEMORY_MIN / MIB,
                      MSB_MEMORY_MAX / MIB						      },
	[KEY_ENGINE] = {"engine",     defaults_engines, 1,                    DEFAULTS_ENGINES - 1},
	[KEY_ACCEL] = {"accel",      defaults_accels,  1,                    DEFAULTS_ACCELS - 1 },
};

/* What the file says. */
struct config {
	char *path;
	int64_t values[KEYS];
};

static void config_release(struct config *c)
{
	free(c->path);
}

static int find_name(const struct key *k, const char *text)
{
	for (int64_t i = k->min; text && i <= k->max; i++)
		if (strcmp(k->names[i], text) == 0)
			return (int)i;
	return -1;
}

static void list_names(const struct key *k, char *out, size_t len)
{
	size_t used = 0;

	for (int64_t i = k->min; i <= k->max && used < len; i++)
		used += (size_t)snprintf(out + used, len - used, "%s%s",
		                         i > k->min ? ", " : "", k->names[i]);
}

static int read_key(const struct key *k, const json_t *v, int64_t *ret,
                    const char *path, struct err *err)
{
	char names[128];

	if (!k->names && json_is_integer(v) &&
	    json_integer_value(v) >= k->min &&
	    json_integer_value(v) <= k->max) {
		*ret = json_integer_value(v);
		return 0;
	}
	if (!k->names)
		return err_set(err, -EINVAL,
		               "%s: sandbox_defaults.%s is not a number from "
		               "%lld to %lld",
		               path, k->name, (long long)k->min,
		               (long long)k->max);
	*ret = find_name(k, json_string_value(v));
	if (*ret > 0)
		return 0;
	list_names(k, names, sizeof(names));
	return err_set(err, -EINVAL,
	               "%s: sandbox_defaults.%s is not one of: %s", path,
	               k->name, names);
}

static int read_defaults(struct config *c, const json_t *o, struct err *err)
{
	const char *name;
	json_t *v;

	if (!json_is_object(o))
		return err_set(err, -EINVAL,
		               "%s: sandbox_defaults is not an object",
		               c->path);
	json_object_foreach((json_t *)(uintptr_t)o, name, v)
	{
		size_t i = 0;
		int r;

		while (i < KEYS && strcmp(keys[i].name, name) != 0)
			i++;
		if (i == KEYS) {
			err_set(err, -EINVAL,
			        "%s: unknown key sandbox_defaults.%s", c->path,
			        name);
			err_hint(err, "known are cpus, memory_mib, engine and "
			              "accel");
			return -EINVAL;
		}
		r = read_key(&keys[i], v, &c->values[i], c->path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse(struct config *c, const struct buf *b, struct err *err)
{
	json_t *cleanup_json j = json_parse(b->data, b->len, c->path, err);
	const char *name;
	json_t *v;
	int r = 0;

	if (!j)
		return -EINVAL;
	if (!json_is_object(j))
		return err_set(err, -EINVAL, "%s: not an object", c->path);
	json_object_foreach(j, name, v)
	{
		if (strcmp(name, "sandbox_defaults") != 0) {
			err_set(err, -EINVAL, "%s: unknown key %s", c->path,
			        name);
			err_hint(err, "known is sandbox_defaults");
			return -EINVAL;
		}
		r = read_defaults(c, v, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A fifo must not stop us, a device must not be read. */
static int read_file(const char *path, struct buf *b)
{
	cleanup_close int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? fd_read_all(fd, b) : -EISDIR;
}

/* 1 read, 0 not there. */
static int config_read(struct config *c, const char *home, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(FILE_MAX);
	const char *set = getenv("MSB_CONFIG_PATH");
	bool named = set && *set;
	int r;

	if (asprintf(&c->path, "%s%s", named ? set : home,
	             named ? "" : "/config.json") < 0) {
		c->path = NULL;
		return -ENOMEM;
	}
	r = read_file(c->path, &b);
	if (r == -ENOENT && !named)
		return 0;
	if (r == 0)
		r = parse(c, &b, err);
	else if (r == -E2BIG)
		err_set(err, r, "%s: larger than %u KiB", c->path,
		        FILE_MAX >> 10);
	else
		err_set(err, r, "%s: %s", c->path,
		        r == -EISDIR ? "not a file" : strerror(-r));
	if (r < 0 && err && !err->hint[0])
		err_hint(err, named ? "repair it, or unset MSB_CONFIG_PATH"
		                    : "repair or remove the file");
	return r < 0 ? r : 1;
}

int defaults_check_file(const char *home, char **ret_path, struct err *err)
{
	struct config cleanup(config_release) c = {0};
	int r = config_read(&c, home, err);

	*ret_path = take_ptr(c.path);
	return r;
}

/*
 * One member that names something: the caller's, else the variable's, else
 * the file's, else auto. @from says where it came from, "" for the caller.
 */
static int choose(const struct key *k, const char *variable,
                  const struct config *c, int64_t from_file, int32_t automatic,
                  int32_t *value, char *from, struct err *err)
{
	const char *text = getenv(variable);
	char names[128];
	int found;

	*from = '\0';
	if (*value < 0 || *value > k->max)
		return err_set(err, -EINVAL, "no such %s: %d", k->name,
		               (int)*value);
	if (*value)
		return 0;
	*value = from_file ? (int32_t)from_file : automatic;
	if (from_file)
		(void)snprintf(from, FROM_MAX, " (from %s)", c->path);
	if (!text || !*text)
		return 0;
	found = find_name(k, text);
	if (found < 0) {
		list_names(k, names, sizeof(names));
		return err_set(err, -EINVAL, "%s=%s is not one of: %s",
		               variable, text, names);
	}
	*value = found;
	(void)snprintf(from, FROM_MAX, " (from %s)", variable);
	return 0;
}

int defaults_fill(struct msb_sandbox_opts *o, const char *home, struct err *err)
{
	struct config cleanup(config_release) c = {0};
	char engine_from[FROM_MAX], accel_from[FROM_MAX];
	int r = config_read(&c, home, err);

	if (r >= 0)
		r = choose(&keys[KEY_ENGINE], "MSB_ENGINE", &c,
		           c.values[KEY_ENGINE], MSB_ENGINE_AUTO, &o->engine,
		           engine_from, err);
	if (r >= 0)
		r = choose(&keys[KEY_ACCEL], "MSB_ACCEL", &c,
		           c.values[KEY_ACCEL], MSB_ACCEL_AUTO, &o->accel,
		           accel_from, err);
	if (r < 0)
		return r;
	if (o->engine == MSB_ENGINE_KVM && o->accel == MSB_ACCEL_TCG) {
		err_set(err, -EINVAL,
		        "engine kvm%s contradicts accelerator tcg%s",
		        engine_from, accel_from);
		err_hint(err, "the kvm engine always runs on KVM; tcg is of "
		              "the qemu engine: choose that, or no "
		              "accelerator");
		return -EINVAL;
	}
	if (!o->cpus)
		o->cpus = c.values[KEY_CPUS] ? (uint32_t)c.values[KEY_CPUS] : 1;
	if (!o->memory_bytes)
		o->memory_bytes = c.values[KEY_MEMORY]
		                          ? (uint64_t)c.values[KEY_MEMORY] * MIB
		                          : MSB_MEMORY_DEFAULT;
	return 0;
}
