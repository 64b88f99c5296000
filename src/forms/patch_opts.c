#include "forms/patch_opts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/num.h"

#include "base/banned.h"

#define ID_MAX (UINT32_MAX - 1)

static void release(struct msb_patch *p)
{
	free((void *)(uintptr_t)p->path);
	free((void *)(uintptr_t)p->source);
	free((void *)(uintptr_t)p->data);
	*p = (struct msb_patch)MSB_PATCH_INIT;
}

void patch_list_release(struct patch_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		release(&l->v[i]);
	free(l->v);
	*l = (struct patch_list){0};
}

int patch_list_take(struct patch_list *l, struct msb_patch *p)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct msb_patch *more = reallocarray(l->v, cap, sizeof(*more));

		if (!more) {
			release(p);
			return -ENOMEM;
		}
		l->v = more;
		l->cap = cap;
	}
	l->v[l->n++] = *p;
	*p = (struct msb_patch)MSB_PATCH_INIT;
	return 0;
}

int patch_list_move(struct patch_list *to, struct patch_list *from)
{
	int r = 0;

	for (size_t i = 0; i < from->n && r == 0; i++)
		r = patch_list_take(to, &from->v[i]);
	patch_list_release(from);
	return r;
}

int patch_list_pointers(const struct patch_list *l,
                        const struct msb_patch ***ret)
{
	const struct msb_patch **list;

	*ret = NULL;
	if (l->n == 0)
		return 0;
	list = calloc(l->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++)
		list[i] = &l->v[i];
	*ret = list;
	return 0;
}

int patch_parse_mode(const char *text, uint32_t *ret)
{
	uint32_t mode = 0;

	if (strlen(text) != 4 || strspn(text, "01234567") != 4)
		return -EINVAL;
	for (; *text; text++)
		mode = mode << 3 | (uint32_t)(*text - '0');
	*ret = mode;
	return 0;
}

/* ---- options ------------------------------------------------------------- */

/* One kind of option. */
struct kind {
	const char *option;
	enum msb_patch_kind patch;
	mode_t type; /* that the source must have; 0: a file or a folder */
};

static const struct kind kinds[] = {
	{"copy",      MSB_PATCH_COPY,   0      },
	{"copy-file", MSB_PATCH_COPY,   S_IFREG},
	{"copy-dir",  MSB_PATCH_COPY,   S_IFDIR},
	{"mkdir",     MSB_PATCH_MKDIR,  0      },
	{"rm",        MSB_PATCH_REMOVE, 0      },
};

static int set_id(const char *text, uint32_t *ret)
{
	uint64_t n;

	if (!num_parse_u64(text, ID_MAX, &n))
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

static int set_word(struct msb_patch *p, const char *word)
{
	if (strcmp(word, "replace") == 0) {
		p->flags |= MSB_PATCH_REPLACE;
		return 0;
	}
	if (strncmp(word, "mode=", 5) == 0) {
		p->flags |= MSB_PATCH_MODE;
		return patch_parse_mode(word + 5, &p->mode);
	}
	if (strncmp(word, "uid=", 4) == 0) {
		p->flags |= MSB_PATCH_OWNER;
		return set_id(word + 4, &p->uid);
	}
	if (strncmp(word, "gid=", 4) == 0) {
		p->flags |= MSB_PATCH_OWNER;
		return set_id(word + 4, &p->gid);
	}
	return -EINVAL;
}

/* "replace,mode=0644"; @text is changed. */
static int set_words(const struct kind *k, struct msb_patch *p, char *text,
                     struct err *err)
{
	char *next = text;

	for (char *word = strsep(&next, ","); word; word = strsep(&next, ",")) {
		if (set_word(p, word) == 0)
			continue;
		err_set(err, -EINVAL, "--%s: '%.80s' is no option", k->option,
		        word);
		err_hint(err, "there are replace, mode=0644, uid=N and gid=N, "
		              "with commas between");
		return -EINVAL;
	}
	return 0;
}

static int check_source(const struct kind *k, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_set(err, -errno, "--%s: cannot read '%s': %s",
		               k->option, path, strerror(errno));
	if (k->type && (st.st_mode & S_IFMT) != k->type)
		return err_set(err, -EINVAL, "--%s: '%s' is not a %s",
		               k->option, path,
		               k->type == S_IFREG ? "file" : "folder");
	return 0;
}

static int not_copy(const struct kind *k, const char *text, struct err *err)
{
	return err_set(err, -EINVAL, "--%s: '%.200s' is not SRC:/DST[:OPTIONS]",
	               k->option, text);
}

/* SRC:/DST[:OPTIONS]: the first ":/" begins what is in the guest. */
static int take_copy(const struct kind *k, const char *text,
                     struct msb_patch *p, struct err *err)
{
	const char *to = strstr(text, ":/");
	char *source, *path, *words;

	if (!to || to == text)
		return not_copy(k, text, err);
	source = strndup(text, (size_t)(to - text));
	path = strdup(to + 1);
	p->source = source;
	p->path = path;
	if (!source || !path)
		return err_set(err, -ENOMEM, "out of memory");
	words = strchr(path, ':');
	if (words)
		*words++ = '\0';
	if (words && set_words(k, p, words, err) < 0)
		return -EINVAL;
	return check_source(k, source, err);
}

static int take_path(const struct kind *k, const char *text,
                     struct msb_patch *p, struct err *err)
{
	if (*text != '/')
		return err_set(err, -EINVAL,
		               "--%s: '%.200s' is not an absolute path",
		               k->option, text);
	p->path = strdup(text);
	return p->path ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static const struct kind *find_kind(const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i].option) == len &&
		    strncmp(kinds[i].option, text, len) == 0)
			return &kinds[i];
	return NULL;
}

static int take_option(struct patch_list *l, const char *text, struct err *err)
{
	size_t len = strcspn(text, ":");
	const struct kind *k = find_kind(text, len);
	struct msb_patch p = MSB_PATCH_INIT;
	int r;

	if (!k || !text[len])
		return err_set(err, -EINVAL, "--%s is no patch", text);
	p.kind = (int32_t)k->patch;
	text += len + 1;
	r = k->patch == MSB_PATCH_COPY ? take_copy(k, text, &p, err)
	                               : take_path(k, text, &p, err);
	if (r < 0) {
		release(&p);
		return r;
	}
	r = patch_list_take(l, &p);
	return r < 0 ? err_set(err, r, "out of memory") : 0;
}

int patch_options(struct patch_list *l, const struct strv *given,
                  struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < given->n && r == 0; i++)
		r = take_option(l, given->v[i], err);
	return r;
}

/* What is no copy, or cannot be found, stays as it is. */
static int add_absolute(struct strv *to, const char *text)
{
	const char *source = text + strcspn(text, ":");
	const char *path = strstr(text, ":/");
	cleanup_free char *name = NULL, *real = NULL;

	if (!path || path <= source)
		return strv_add(to, text);
	source++;
	name = strndup(source, (size_t)(path - source));
	if (!name)
		return -ENOMEM;
	real = realpath(name, NULL);
	return real ? strv_addf(to, "%.*s%s%s", (int)(source - text), text,
	                        real, path)
	            : strv_add(to, text);
}

int patch_opts_absolute(const struct strv *given, struct strv *ret)
{
	int r = 0;

	for (size_t i = 0; i < given->n && r == 0; i++)
		r = add_absolute(ret, given->v[i]);
	return r;
}
