#include "lib/mounts_user.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "image/peek.h"

#include "base/banned.h"

#define FILE_MAX (256u << 10)
#define ID_MAX   4294967294u

/* The line "NAME:x:ID:..." of @text, cut to its fields. */
struct line {
	const char *name;
	size_t name_len;
	uint32_t id, next; /* the third and the fourth field */
};

static bool is_number(const char *s, size_t len, uint32_t *ret)
{
	char text[16];
	uint64_t n;

	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	if (!num_parse_u64(text, ID_MAX, &n))
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool take_id(const char **p, uint32_t *ret)
{
	size_t len = strcspn(*p, ":\n");

	if (!is_number(*p, len, ret))
		return false;
	*p += len + ((*p)[len] == ':');
	return true;
}

/* The next line that has a name and a number; false at the end. */
static bool next_line(const char **text, struct line *ret)
{
	while (**text) {
		const char *p = *text;

		*text += strcspn(p, "\n");
		*text += **text == '\n';
		ret->name = p;
		ret->name_len = strcspn(p, ":\n");
		p += ret->name_len;
		if (*p != ':' || !ret->name_len)
			continue;
		p++;
		p += strcspn(p, ":\n");
		if (*p++ != ':' || !take_id(&p, &ret->id))
			continue;
		ret->next = 0;
		(void)take_id(&p, &ret->next);
		return true;
	}
	return false;
}

/* By name or number; false when there is none. */
static bool look_up(struct store *s, const struct image *image,
                    const char *path, const char *want, size_t len,
                    struct line *ret)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(FILE_MAX);
	const char *text;
	uint32_t id = 0;
	bool number = is_number(want, len, &id);

	if (image_peek(s, image, path, &b, NULL) < 0)
		return false;
	text = buf_str(&b);
	while (next_line(&text, ret))
		if (number ? ret->id == id
		           : ret->name_len == len &&
		                     strncmp(ret->name, want, len) == 0)
			return true;
	return false;
}

void mounts_find_user(struct store *s, const struct image *image,
                      const char *spec, struct mounts_user *ret)
{
	struct mounts_user u = {0, 0};
	size_t len = spec ? strcspn(spec, ":") : 0;
	const char *group = len && spec[len] ? spec + len + 1 : "";
	struct line line;

	if (len && !is_number(spec, len, &u.uid) &&
	    look_up(s, image, "etc/passwd", spec, len, &line))
		u = (struct mounts_user){line.id, line.next};
	else if (u.uid && !*group &&
	         look_up(s, image, "etc/passwd", spec, len, &line))
		u.gid = line.next;
	if (*group && !is_number(group, strlen(group), &u.gid) &&
	    look_up(s, image, "etc/group", group, strlen(group), &line))
		u.gid = line.id;
	*ret = u;
}
