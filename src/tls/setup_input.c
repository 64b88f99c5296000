#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "tls/setup.h"

#include "base/banned.h"

void setup_input_init(struct setup_input *in, bool update)
{
	*in = (struct setup_input){.rq.update = update};
	in->len = sizeof(in->number);
}

void setup_input_release(struct setup_input *in)
{
	if (in->part == SETUP_VALUE)
		value_unref(in->value, in->len);
	in->value = NULL;
	in->part = SETUP_JSON_LEN;
	in->len = in->done = 0;
	free(in->json);
	in->json = NULL;
	setup_request_release(&in->rq);
}

static void expect(struct setup_input *in, enum setup_part part, size_t len)
{
	in->part = part;
	in->len = len;
	in->done = 0;
}

void *setup_input_room(struct setup_input *in, size_t *ret_len)
{
	uint8_t *at = in->number;

	if (in->part == SETUP_JSON)
		at = (uint8_t *)in->json;
	else if (in->part == SETUP_VALUE)
		at = in->value;
	*ret_len = in->len - in->done;
	return at + in->done;
}

/* ---- what follows a part ------------------------------------------------- */

static int begin_json(struct setup_input *in, struct err *err)
{
	uint32_t len = get_le32(in->number);

	if (len == 0 || len > TLS_SETUP_JSON_MAX)
		return err_set(err, -E2BIG,
		               "msb-tls refuses a request of %u bytes", len);
	in->json = malloc(len);
	if (!in->json)
		return err_set(err, -ENOMEM, "no memory");
	expect(in, SETUP_JSON, len);
	return 0;
}

/* The place for value number @n, or NULL: that were all. */
static uint8_t **value_place(struct setup_request *rq, size_t n,
                             size_t **ret_len, const char **ret_name)
{
	bool key = rq->ca_cert && rq->ca_cert[0];

	if (key && n == 0) {
		*ret_len = &rq->ca_key_len;
		*ret_name = "the authority's key";
		return &rq->ca_key;
	}
	n -= key;
	for (size_t i = 0; i < rq->nset; i++) {
		if (!rq->set[i].has_value || n--)
			continue;
		*ret_len = &rq->set[i].s.len;
		*ret_name = rq->set[i].s.name;
		return &rq->set[i].s.value;
	}
	return NULL;
}

static int begin_value_len(struct setup_input *in)
{
	const char *name;
	size_t *len;

	if (!value_place(&in->rq, in->next, &len, &name)) {
		expect(in, SETUP_WHOLE, 0);
		return 1;
	}
	expect(in, SETUP_VALUE_LEN, sizeof(in->number));
	return 0;
}

static int end_json(struct setup_input *in, struct err *err)
{
	int r = setup_request_parse(&in->rq, in->json, in->len, err);

	free(in->json);
	in->json = NULL;
	return r < 0 ? r : begin_value_len(in);
}

static int begin_value(struct setup_input *in, struct err *err)
{
	uint32_t len = get_le32(in->number);
	const char *name = "";
	size_t *place_len;

	(void)value_place(&in->rq, in->next, &place_len, &name);
	if (len == 0)
		return err_set(err, -EINVAL, "the value of %s is empty", name);
	if (len > TLS_VALUE_MAX)
		return err_set(err, -E2BIG,
		               "the value of %s has %u bytes, more than %u",
		               name, len, TLS_VALUE_MAX);
	in->value = value_new(len);
	if (!in->value)
		return err_set(err, -ENOMEM, "no memory");
	expect(in, SETUP_VALUE, len);
	return 0;
}

/* A value that is its own placeholder would be told to everybody. */
static bool is_placeholder(const struct setup_request *rq, const uint8_t *value,
                           size_t len)
{
	for (size_t i = 0; i < rq->nset; i++) {
		const struct secret *s = &rq->set[i].s;

		if (s->placeholder_len == len &&
		    memcmp(s->placeholder, value, len) == 0)
			return true;
	}
	return false;
}

static int end_value(struct setup_input *in, struct err *err)
{
	const char *name = "";
	size_t *place_len = NULL;
	uint8_t **place = value_place(&in->rq, in->next, &place_len, &name);

	if (memchr(in->value, 0, in->len))
		return err_set(err, -EINVAL,
		               "the value of %s has a zero byte in it", name);
	if (is_placeholder(&in->rq, in->value, in->len))
		return err_set(err, -EINVAL, "the value of %s is a placeholder",
		               name);
	*place = in->value;
	*place_len = in->len;
	in->value = NULL;
	in->next++;
	return begin_value_len(in);
}

int setup_input_got(struct setup_input *in, size_t len, struct err *err)
{
	in->done += len;
	if (in->done < in->len)
		return 0;
	switch (in->part) {
	case SETUP_JSON_LEN:
		return begin_json(in, err);
	case SETUP_JSON:
		return end_json(in, err);
	case SETUP_VALUE_LEN:
		return begin_value(in, err);
	case SETUP_VALUE:
		return end_value(in, err);
	case SETUP_WHOLE:
		break;
	}
	return 1;
}
