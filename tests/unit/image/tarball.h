/*
 * tarball.h - tars made by hand for the tests of the image half, good ones and
 * broken ones, and a store to put them into.
 */
#ifndef TEST_IMAGE_TARBALL_H
#define TEST_IMAGE_TARBALL_H

#include "base/buf.h"
#include "base/digest.h"
#include "image/layer.h"
#include "image/tree.h"
#include "store/store.h"

struct tarball {
	struct buf b;
};

#define TARBALL_INIT                                                           \
	{                                                                      \
		.b = {.max = 1ULL << 30 }                                      \
	}

/*
 * A ustar header; returns where it is in the buffer, so that a test may change
 * it and then call tb_sum().
 */
size_t tb_header(struct tarball *t, char type, const char *name, uint64_t size,
                 const char *link);
uint8_t *tb_at(struct tarball *t, size_t header);
void tb_sum(struct tarball *t, size_t header);
void tb_body(struct tarball *t, const void *data, size_t len); /* + padding */

void tb_file(struct tarball *t, const char *name, const void *data, size_t len);
void tb_text(struct tarball *t, const char *name, const char *text);
void tb_dir(struct tarball *t, const char *name);
void tb_sym(struct tarball *t, const char *name, const char *text);
void tb_hard(struct tarball *t, const char *name, const char *target);
void tb_dev(struct tarball *t, char type, const char *name, unsigned major,
            unsigned minor);

/* "key=value" records, NULL at the end. */
void tb_pax(struct tarball *t, char type, const char *const *records);
#define TB_PAX(t, ...) tb_pax(t, 'x', (const char *const[]){__VA_ARGS__, NULL})
void tb_pax_raw(struct tarball *t, char type, const void *body, size_t len);
void tb_long(struct tarball *t, char type, const char *name);
void tb_end(struct tarball *t);
void tb_release(struct tarball *t);

/* Compressed copies, as the same kind of object. */
void tb_gzip(const struct tarball *t, struct tarball *to);
void tb_zstd(const struct tarball *t, struct tarball *to);

/* A store in a fresh folder; removed by test_store_close(). */
struct store *test_store_open(void);
void test_store_close(struct store *s);

/* Load an image of one layer that holds @content; @ret receives its layer. */
void test_add_image(struct store *s, const char *name, const char *content,
                    struct digest *ret);

/* Is there anything in the store's `layers` or `tmp`? */
bool test_store_is_empty(struct store *s);

/* Give @t to layer_ingest() in pieces of @step bytes. */
int test_ingest_step(struct store *s, const struct tarball *t, size_t step,
                     const struct digest *want, const struct layer_limits *lim,
                     struct layer_info *ret, struct err *err);

/* With defaults; the digest only. */
int test_ingest(struct store *s, const struct tarball *t, struct digest *ret,
                struct err *err);

#endif
