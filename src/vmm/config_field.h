/*
 * config_field.h - JSON objects by tables: each key has a line that says where
 * its value goes and what it may be. For config.c and config_net.c.
 */
#ifndef VMM_CONFIG_FIELD_H
#define VMM_CONFIG_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

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

int field_bad(const struct field *f, const char *where, struct err *err,
              const char *what);

/* Fill the struct at @base from @o; @fields ends with a key of NULL. */
int field_object(const struct field *fields, const json_t *o, void *base,
                 const char *where, struct err *err);

/* Readers, for the tables. */
#define FIELD_READER(name)                                                     \
	int name(const struct field *f, const json_t *v, void *out,            \
	         const char *where, struct err *err)
FIELD_READER(field_str); /* a char array of max + 1 bytes, min at least */
FIELD_READER(field_u32);
FIELD_READER(field_u64);
FIELD_READER(field_bool);
FIELD_READER(field_name); /* one of names: an unsigned */
FIELD_READER(field_fd);   /* an open file */
FIELD_READER(field_log_fds);
FIELD_READER(field_socket);
FIELD_READER(field_strs); /* at most max strings, min bytes together */

/* An open descriptor, of a kind that @ok says. */
int field_open_fd(const struct field *f, const json_t *v, int *out,
                  const char *where, bool (*ok)(mode_t mode), const char *kind,
                  struct err *err);
int field_check_int(const struct field *f, const json_t *v, const char *where,
                    struct err *err);

bool is_name_char(int c);
bool is_printable(int c);
bool is_path_char(int c);

/* clang-format off */
#define STR(key_, T, m, least, ok)                                             \
	{.key = key_, .read = field_str, .offset = offsetof(T, m),              \
	 .min = least, .max = sizeof(((T *)0)->m) - 1, .allowed = ok}
#define INT(key_, fn, T, m, least, most)                                       \
	{.key = key_, .read = fn, .offset = offsetof(T, m), .min = least,      \
	 .max = most}
#define FD(key_, T, m)                                                         \
	{.key = key_, .read = field_fd, .offset = offsetof(T, m),               \
	 .min = VMM_FD_FIRST, .max = INT_MAX}
#define FD_OPTIONAL(key_, T, m)                                                \
	{.key = key_, .read = field_fd, .offset = offsetof(T, m),               \
	 .min = VMM_FD_FIRST, .max = INT_MAX, .optional = true}
#define SOCKET_OPTIONAL(key_, T, m)                                            \
	{.key = key_, .read = field_socket, .offset = offsetof(T, m),           \
	 .min = VMM_FD_FIRST, .max = INT_MAX, .optional = true}
#define STRS_OPTIONAL(key_, T, m, most, bytes)                                 \
	{.key = key_, .read = field_strs, .offset = offsetof(T, m),             \
	 .min = bytes, .max = most, .optional = true}
#define INT_OPTIONAL(key_, fn, T, m, least, most)                              \
	{.key = key_, .read = fn, .offset = offsetof(T, m), .min = least,      \
	 .max = most, .optional = true}
#define NAME(key_, T, m, list)                                                 \
	{.key = key_, .read = field_name, .offset = offsetof(T, m),             \
	 .names = list}
/* clang-format on */

#endif
