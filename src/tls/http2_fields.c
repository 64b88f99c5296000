#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls/http2.h"

#include "base/banned.h"

#define FIELD_EXTRA 32 /* that RFC 9113 adds to each */

void h2_fields_release(struct h2_fields *f)
{
	buf_release(&f->text);
	free(f->v);
	*f = (struct h2_fields){0};
}

static int make_room(struct h2_fields *f)
{
	size_t cap = f->cap ? f->cap * 2 : 16;
	struct h2_field *v;

	if (f->n < f->cap)
		return 0;
	v = reallocarray(f->v, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	f->v = v;
	f->cap = cap;
	return 0;
}

int h2_fields_add(struct h2_fields *f, const void *name, size_t name_len,
                  const void *value, size_t value_len, uint8_t flags,
                  size_t max, size_t max_n)
{
	size_t size = name_len + value_len + FIELD_EXTRA;

	if (f->large || f->n == max_n || size > max - f->size) {
		f->large = true;
		return 0;
	}
	f->text.max = max + 2 * max_n;
	if (make_room(f) < 0 || buf_reserve(&f->text, size) < 0)
		return -ENOMEM;
	f->v[f->n++] = (struct h2_field){.name = f->text.len,
	                                 .name_len = name_len,
	                                 .value = f->text.len + name_len + 1,
	                                 .value_len = value_len,
	                                 .flags = flags};
	(void)buf_add(&f->text, name, name_len);
	(void)buf_addz(&f->text, 1);
	(void)buf_add(&f->text, value, value_len);
	(void)buf_addz(&f->text, 1);
	f->size += size;
	return 0;
}

bool h2_is(const struct h2_fields *f, size_t i, const char *name)
{
	return f->v[i].name_len == strlen(name) &&
	       memcmp(h2_name(f, i), name, f->v[i].name_len) == 0;
}

const char *h2_get(const struct h2_fields *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (h2_is(f, i, name))
			return h2_value(f, i);
	return NULL;
}

const char *h2_coding(const struct h2_fields *f)
{
	const char *coding = "";

	for (size_t i = 0; i < f->n; i++) {
		if (!h2_is(f, i, "content-encoding") || !h2_value(f, i)[0] ||
		    strcasecmp(h2_value(f, i), "identity") == 0)
			continue;
		if (coding[0])
			return "several";
		coding = h2_value(f, i);
	}
	return coding;
}

nghttp2_nv *h2_nva(const struct h2_fields *f)
{
	nghttp2_nv *nva = calloc(f->n + 1, sizeof(*nva));

	for (size_t i = 0; nva && i < f->n; i++)
		nva[i] = (nghttp2_nv){.name = f->text.data + f->v[i].name,
		                      .namelen = f->v[i].name_len,
		                      .value = f->text.data + f->v[i].value,
		                      .valuelen = f->v[i].value_len,
		                      .flags = f->v[i].flags &
		                               NGHTTP2_NV_FLAG_NO_INDEX};
	return nva;
}
