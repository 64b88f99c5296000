#include "guest/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define ID_MAX     4294967294u /* -1 means "leave it" to the kernel */
#define NAME_MAX_  256
#define FIELDS_MAX 7

/* One line, cut in place: name:x:id:... */
struct entry {
	char *field[FIELDS_MAX];
	size_t n;
};

/* A regular file only: a fifo or device must not stop us. */
static int read_file(const char *path, struct buf *b)
{
	cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return fd_read_all(fd, b);
}

static void split(char *line, struct entry *e)
{
	e->n = 0;
	while (e->n < FIELDS_MAX) {
		e->field[e->n++] = line;
		line = strchr(line, ':');
		if (!line)
			break;
		*line++ = '\0';
	}
}

/* The next entry with at least @want fields; false at the end. */
static bool next_entry(char **text, size_t want, struct entry *e)
{
	while (**text) {
		char *line = *text, *end = strchr(line, '\n');

		*text = end ? end + 1 : line + strlen(line);
		if (end)
			*end = '\0';
		split(line, e);
		if (e->n >= want && *e->field[0] && *e->field[0] != '#')
			return true;
	}
	return false;
}

static bool parse_id(const char *s, uint32_t *ret)
{
	uint64_t v;

	if (!num_parse_u64(s, ID_MAX, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool all_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

struct parts {
	char user[NAME_MAX_], group[NAME_MAX_];
	bool has_group;
};

static int split_spec(const char *spec, struct parts *p, struct err *err)
{
	const char *colon = strchr(spec, ':');
	size_t ulen = colon ? (size_t)(colon - spec) : strlen(spec);
	size_t glen = colon ? strlen(colon + 1) : 0;

	if (ulen >= NAME_MAX_ || glen >= NAME_MAX_)
		return err_set(err, -EINVAL, "the user name is too long");
	memcpy(p->user, spec, ulen);
	p->user[ulen] = '\0';
	if (colon)
		memcpy(p->group, colon + 1, glen);
	p->group[glen] = '\0';
	p->has_group = glen > 0;
	return 0;
}

static int find_user(char *text, const char *want, struct user *u,
                     char name[NAME_MAX_], struct err *err)
{
	bool numeric = all_digits(want) || !*want;
	struct entry e;
	uint32_t uid = 0, id, gid;

	if (*want && numeric && !parse_id(want, &uid))
		return err_set(err, -EINVAL, "user id %s is out of range",
		               want);
	u->uid = uid;
	while (next_entry(&text, 6, &e)) {
		if (!parse_id(e.field[2], &id) || !parse_id(e.field[3], &gid))
			continue;
		if (numeric ? id != uid : strcmp(e.field[0], want) != 0)
			continue;
		u->uid = id;
		u->gid = gid;
		if (*e.field[5] == '/' && strlen(e.field[5]) < USER_HOME_MAX)
			memcpy(u->home, e.field[5], strlen(e.field[5]) + 1);
		if (strlen(e.field[0]) < NAME_MAX_)
			memcpy(name, e.field[0], strlen(e.field[0]) + 1);
		return 0;
	}
	return numeric ? 0
	               : err_set(err, -ENOENT,
	                         "no user '%s' in the image's /etc/passwd",
	                         want);
}

static int find_group(char *text, const char *want, struct user *u,
                      struct err *err)
{
	struct entry e;
	uint32_t id;

	if (all_digits(want)) {
		if (!parse_id(want, &id))
			return err_set(err, -EINVAL,
			               "group id %s is out of range", want);
		u->gid = id;
		return 0;
	}
	while (next_entry(&text, 3, &e)) {
		if (strcmp(e.field[0], want) != 0 || !parse_id(e.field[2], &id))
			continue;
		u->gid = id;
		return 0;
	}
	return err_set(err, -ENOENT, "no group '%s' in the image's /etc/group",
	               want);
}

/* @list is "a,b,c". */
static bool lists(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == len && memcmp(list, name, n) == 0)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

static int add_groups(char *text, const char *name, struct user *u,
                      struct err *err)
{
	struct entry e;
	uint32_t id;

	while (next_entry(&text, 4, &e)) {
		if (!lists(e.field[3], name) || !parse_id(e.field[2], &id) ||
		    id == u->gid)
			continue;
		if (u->ngroups == USER_GROUPS_MAX)
			return err_set(err, -E2BIG,
			               "user '%s' is in more than %d groups",
			               name, USER_GROUPS_MAX);
		u->groups[u->ngroups++] = id;
	}
	return 0;
}

/* A file that is missing is empty; an unreadable one matters to names only. */
static int load(const char *path, bool needed, struct buf *b, struct err *err)
{
	int r = read_file(path, b);

	if (r == 0 || r == -ENOENT || !needed) {
		if (r < 0)
			buf_reset(b);
		return r == -ENOMEM ? r : 0;
	}
	return err_set(err, r, "cannot read the image's %s: %s", path,
	               strerror(-r));
}

int user_lookup(const char *spec, const char *passwd_path,
                const char *group_path, struct user *ret, struct err *err)
{
	struct buf cleanup_buf passwd = BUF_INIT_MAX(USER_FILE_MAX);
	struct buf cleanup_buf group = BUF_INIT_MAX(USER_FILE_MAX);
	static struct user u;
	struct parts p;
	char name[NAME_MAX_] = "";
	int r = split_spec(spec, &p, err);

	u = (struct user){.home = "/"};
	if (r == 0)
		r = load(passwd_path, *p.user && !all_digits(p.user), &passwd,
		         err);
	if (r == 0)
		r = find_user((char *)(uintptr_t)buf_str(&passwd), p.user, &u,
		              name, err);
	if (r == 0)
		r = load(group_path, p.has_group && !all_digits(p.group),
		         &group, err);
	if (r == 0 && p.has_group)
		r = find_group((char *)(uintptr_t)buf_str(&group), p.group, &u,
		               err);
	else if (r == 0 && *name)
		r = add_groups((char *)(uintptr_t)buf_str(&group), name, &u,
		               err);
	if (r == 0)
		*ret = u;
	return r;
}
