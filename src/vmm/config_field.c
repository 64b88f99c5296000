#include "vmm/config_field.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/strv.h"
#include "vmm/config.h"

#include "base/banned.h"

int field_bad(const struct field *f, const char *where, struct err *err,
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

int field_object(const struct field *fields, const json_t *o, void *base,
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
			return field_bad(f, where, err, "is missing");
		r = f->read(f, v, (char *)base + f->offset, where, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Into a char array of max + 1 bytes: at least min bytes, all allowed. */
int field_str(const struct field *f, const json_t *v, void *out,
              const char *where, struct err *err)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);

	if (!s)
		return field_bad(f, where, err, "is not a string");
	if (len < (size_t)f->min)
		return field_bad(f, where, err, "is empty");
	if (len > (size_t)f->max)
		return err_set(err, -EINVAL,
		               "config: %s%s is longer than %lld bytes", where,
		               f->key, (long long)f->max);
	for (size_t i = 0; i < len; i++)
		if (!f->allowed((unsigned char)s[i]))
			return field_bad(f, where, err,
			                 "has a character that is not allowed");
	memcpy(out, s, len + 1);
	return 0;
}

int field_check_int(const struct field *f, const json_t *v, const char *where,
                    struct err *err)
{
	if (!json_is_integer(v))
		return field_bad(f, where, err, "is not a whole number");
	if (json_integer_value(v) >= f->min && json_integer_value(v) <= f->max)
		return 0;
	return err_set(err, -EINVAL,
	               "config: %s%s is %lld, not between %lld and %lld", where,
	               f->key, (long long)json_integer_value(v),
	               (long long)f->min, (long long)f->max);
}

int field_u32(const struct field *f, const json_t *v, void *out,
              const char *where, struct err *err)
{
	int r = field_check_int(f, v, where, err);

	if (r == 0)
		*(uint32_t *)out = (uint32_t)json_integer_value(v);
	return r;
}

int field_u64(const struct field *f, const json_t *v, void *out,
              const char *where, struct err *err)
{
	int r = field_check_int(f, v, where, err);

	if (r == 0)
		*(uint64_t *)out = (uint64_t)json_integer_value(v);
	return r;
}

int field_bool(const struct field *f, const json_t *v, void *out,
               const char *where, struct err *err)
{
	if (!json_is_boolean(v))
		return field_bad(f, where, err, "is neither true nor false");
	*(bool *)out = json_is_true(v);
	return 0;
}

int field_name(const struct field *f, const json_t *v, void *out,
               const char *where, struct err *err)
{
	const char *s = json_string_value(v);

	for (unsigned i = 0; s && f->names[i]; i++) {
		if (strcmp(s, f->names[i]) == 0) {
			*(unsigned *)out = i;
			return 0;
		}
	}
	return field_bad(f, where, err, "is none of the known ones");
}

int field_open_fd(const struct field *f, const json_t *v, int *out,
                  const char *where, bool (*ok)(mode_t mode), const char *kind,
                  struct err *err)
{
	struct stat st;
	int fd, r;

	r = field_check_int(f, v, where, err);
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

int field_fd(const struct field *f, const json_t *v, void *out,
             const char *where, struct err *err)
{
	return field_open_fd(f, v, out, where, is_file, "file", err);
}

/* Two files that can be read and written anywhere. */
int field_log_fds(const struct field *f, const json_t *v, void *out,
                  const char *where, struct err *err)
{
	int fds[2] = {-1, -1};

	if (!json_is_array(v) || json_array_size(v) != 2)
		return field_bad(f, where, err, "is not a list of two");
	for (size_t i = 0; i < 2; i++) {
		int flags, r = field_fd(f, json_array_get(v, i), &fds[i], where,
		                        err);

		if (r < 0)
			return r;
		flags = fcntl(fds[i], F_GETFL);
		if (flags < 0 || (flags & O_ACCMODE) != O_RDWR ||
		    flags & O_APPEND)
			return field_bad(f, where, err,
			                 "is not open for reading and writing "
			                 "anywhere");
	}
	if (fds[0] == fds[1])
		return field_bad(f, where, err, "names one file twice");
	memcpy(out, fds, sizeof(fds));
	return 0;
}

static bool is_socket(mode_t mode)
{
	return S_ISSOCK(mode);
}

int field_socket(const struct field *f, const json_t *v, void *out,
                 const char *where, struct err *err)
{
	return field_open_fd(f, v, out, where, is_socket, "socket", err);
}

bool is_name_char(int c)
{
	return isascii(c) && (isalnum(c) || c == '-' || c == '.' || c == '_');
}

bool is_printable(int c)
{
	return c >= 0x20 && c < 0x7f;
}

bool is_path_char(int c)
{
	return c >= 0x20 && c != 0x7f;
}

int field_strs(const struct field *f, const json_t *v, void *out,
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
			return field_bad(f, where, err,
			                 "has what is no string");
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
