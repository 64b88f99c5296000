#include "proto/proto.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/num.h"

#include "base/banned.h"

enum kind { K_u8, K_u16, K_u32, K_u64, K_i32, K_str, K_bytes, K_strs };

struct field {
	enum kind kind;
	size_t offset; /* in the message's own struct */
};

/* From proto.h's table: an array of fields for each message, then all. */
#define FIELD(msg, kind, name) {K_##kind, offsetof(struct proto_##msg, name)},
#define FIELDS(num, name, NAME)                                                \
	static const struct field name##_fields[] = {                          \
		PROTO_##NAME##_FIELDS(FIELD, name)};
PROTO_MESSAGES(FIELDS)
#undef FIELDS
#undef FIELD

static const struct message {
	unsigned num;
	const char *name;
	const struct field *fields;
	size_t nfields;
} messages[] = {
#define ROW(num, name, NAME)                                                   \
	{num, #NAME, name##_fields, ARRAY_SIZE(name##_fields)},
	PROTO_MESSAGES(ROW)
#undef ROW
};

static const struct message *find(unsigned num)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		if (messages[i].num == num)
			return &messages[i];
	return NULL;
}

const char *proto_type_name(unsigned type)
{
	const struct message *m = find(type);

	return m ? m->name : "?";
}

/* All members of the union start at the same address. */
static void *body(struct proto_msg *msg)
{
	return &msg->hello;
}

static int add_le(struct buf *b, uint64_t v, size_t len)
{
	uint8_t wire[8];

	put_le64(wire, v);
	return buf_add(b, wire, len);
}

static int add_counted(struct buf *b, const void *p, uint32_t n)
{
	int r = add_le(b, n, 4);

	return r < 0 ? r : buf_add(b, p, n);
}

static int add_str(struct buf *b, const char *s)
{
	size_t len = s ? strlen(s) : 0;
	int r;

	if (len > PROTO_FRAME_MAX)
		return -E2BIG;
	r = add_counted(b, s ? s : "", (uint32_t)len);
	return r < 0 ? r : buf_addc(b, '\0');
}

static int add_strs(struct buf *b, const struct proto_strs *s)
{
	int r = s->n > PROTO_STRS_MAX ? -E2BIG : add_le(b, s->n, 4);

	for (uint32_t i = 0; i < s->n && r == 0; i++)
		r = add_str(b, s->v[i]);
	return r;
}

static int add_field(struct buf *b, enum kind kind, const void *p)
{
	const struct proto_bytes *bytes = p;

	switch (kind) {
	case K_u8:
		return add_le(b, *(const uint8_t *)p, 1);
	case K_u16:
		return add_le(b, *(const uint16_t *)p, 2);
	case K_u32:
	case K_i32:
		return add_le(b, *(const uint32_t *)p, 4);
	case K_u64:
		return add_le(b, *(const uint64_t *)p, 8);
	case K_str:
		return add_str(b, *(const char *const *)p);
	case K_bytes:
		return add_counted(b, bytes->p, bytes->n);
	case K_strs:
		return add_strs(b, p);
	}
	return -EINVAL;
}

int proto_encode(struct buf *b, const struct proto_msg *msg)
{
	const struct message *m = find(msg->type);
	const uint8_t *src = body((struct proto_msg *)(uintptr_t)msg);
	size_t start = b->len;
	int r;

	if (!m)
		return -EINVAL;
	r = buf_addz(b, PROTO_HEADER_LEN);
	for (size_t i = 0; i < m->nfields && r == 0; i++)
		r = add_field(b, m->fields[i].kind, src + m->fields[i].offset);
	if (r == 0 && b->len - start - PROTO_HEADER_LEN > PROTO_FRAME_MAX)
		r = -E2BIG;
	if (r < 0) {
		b->len = MIN(b->len, start);
		if (b->data)
			b->data[b->len] = '\0';
		return r;
	}
	put_le32(b->data + start,
	         (uint32_t)(b->len - start - PROTO_HEADER_LEN));
	put_le16(b->data + start + 4, (uint16_t)msg->type);
	return 0;
}

/* NULL, and the cursor bad, unless NUL-terminated with no NUL inside. */
static const char *take_str(struct cursor *c)
{
	uint32_t len = cur_le32(c);
	const char *s =
		len < PROTO_FRAME_MAX ? cur_bytes(c, (size_t)len + 1) : NULL;

	if (!s || s[len] != '\0' || memchr(s, '\0', len)) {
		c->bad = true;
		return NULL;
	}
	return s;
}

struct list_mem {
	struct list_mem *next;
	char *v[];
};

static int take_strs(struct cursor *c, struct proto_strs *ret, void **mem)
{
	uint32_t n = cur_le32(c);
	struct list_mem *lm;

	/* Each string takes five bytes at least: no huge count passes. */
	if (!cur_ok(c) || n > PROTO_STRS_MAX || n > cur_left(c) / 5) {
		c->bad = true;
		return 0;
	}
	lm = calloc(1, sizeof(*lm) + (n + 1) * sizeof(char *));
	if (!lm)
		return -ENOMEM;
	lm->next = *mem;
	*mem = lm;
	for (uint32_t i = 0; i < n; i++)
		lm->v[i] = (char *)(uintptr_t)take_str(c);
	*ret = (struct proto_strs){lm->v, n};
	return 0;
}

static int take_field(struct cursor *c, enum kind kind, void *p, void **mem)
{
	struct proto_bytes *bytes = p;

	switch (kind) {
	case K_u8:
		*(uint8_t *)p = cur_u8(c);
		return 0;
	case K_u16:
		*(uint16_t *)p = cur_le16(c);
		return 0;
	case K_u32:
	case K_i32:
		*(uint32_t *)p = cur_le32(c);
		return 0;
	case K_u64:
		*(uint64_t *)p = cur_le64(c);
		return 0;
	case K_str:
		*(const char **)p = take_str(c);
		return 0;
	case K_bytes:
		bytes->n = cur_le32(c);
		bytes->p = cur_bytes(c, bytes->n);
		return 0;
	case K_strs:
		return take_strs(c, p, mem);
	}
	return -EPROTO;
}

static void free_lists(void *mem)
{
	struct list_mem *lm = mem;

	while (lm) {
		struct list_mem *next = lm->next;

		free(lm);
		lm = next;
	}
}

static int decode_body(const struct message *m, const uint8_t *p, size_t len,
                       struct proto_msg *ret)
{
	struct proto_msg msg = {.type = (enum proto_type)m->num};
	struct cursor c = cur_init(p, len);
	uint8_t *dst = body(&msg);
	int r = 0;

	for (size_t i = 0; i < m->nfields && r == 0; i++)
		r = take_field(&c, m->fields[i].kind, dst + m->fields[i].offset,
		               &msg.mem);
	if (r == 0 && !cur_done(&c))
		r = -EPROTO;
	if (r < 0) {
		free_lists(msg.mem);
		return r;
	}
	*ret = msg;
	return 0;
}

ssize_t proto_decode(const void *data, size_t len, struct proto_msg *msg)
{
	struct cursor c = cur_init(data, len);
	uint32_t n = cur_le32(&c);
	uint16_t type = cur_le16(&c), zero = cur_le16(&c);
	const struct message *m;
	int r;

	if (!cur_ok(&c))
		return 0;
	m = find(type);
	if (!m || zero != 0 || n > PROTO_FRAME_MAX)
		return -EPROTO;
	if (cur_left(&c) < n)
		return 0;
	r = decode_body(m, c.p, n, msg);
	return r < 0 ? r : (ssize_t)(PROTO_HEADER_LEN + n);
}

void proto_release(struct proto_msg *msg)
{
	if (!msg)
		return;
	free_lists(msg->mem);
	msg->mem = NULL;
}
