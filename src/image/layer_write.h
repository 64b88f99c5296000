/*
 * layer_write.h - the files of a layer while it is being made: `data`, `index`
 * and `hdr.zst` (see layer.h and index.h) in a staging folder.
 *
 * hdr.zst holds everything of the tar that is not a file's content, so that
 * the very same tar can be made again. Inside zstd it is a row of records:
 *
 *	'R' le32 len, bytes                 these bytes
 *	'D' le32 entry, le64 off, le64 len  this part of an entry's content
 *
 * No memory grows with the layer.
 */
#ifndef IMAGE_LAYER_WRITE_H
#define IMAGE_LAYER_WRITE_H

#include <stdint.h>
#include <zstd.h>

#include "image/index.h"
#include "store/store.h"

#define LAYER_RAW_MAX      (64 * 1024) /* bytes of one 'R' record */
#define LAYER_REC_RAW      'R'
#define LAYER_REC_DATA     'D'
#define LAYER_REC_RAW_LEN  5
#define LAYER_REC_DATA_LEN 21

/* A file that is only appended to, through a buffer. */
struct layer_out {
	int fd;
	uint8_t *buf;
	size_t len;
	uint64_t off; /* of buf in the file */
	uint32_t crc;
};

struct layer_write {
	struct store *store;
	int dir_fd;
	int data_fd;
	uint8_t *data_buf;
	size_t data_len;
	uint64_t data_off; /* of data_buf in the file; a multiple of a block */
	uint64_t reserve_at, flush_at;

	struct layer_out entries; /* becomes `index` */
	struct layer_out pool;    /* unnamed, appended to it at the end */
	uint64_t entries_n;

	struct layer_out hdr;
	ZSTD_CCtx *zstd;
	uint8_t *raw;
	size_t raw_len;
	uint32_t part_entry; /* the pending 'D' record, if part_len */
	uint64_t part_off, part_len;
};

/* Zeroed before. layer_write_release() also after a failure. */
int layer_write_init(struct layer_write *w, struct store *s, int dir_fd,
                     struct err *err);
void layer_write_release(struct layer_write *w);

/* Add to the pool: its offset in *ret_off. */
int layer_write_pool(struct layer_write *w, const void *p, size_t len,
                     uint32_t *ret_off, struct err *err);

/* A new file's content starts here: its block. */
int layer_write_data_begin(struct layer_write *w, uint64_t *ret_block,
                           struct err *err);

/*
 * @len bytes at @off of the file that started at @block; @off may only grow,
 * what is left out is zeros. At the file's end: layer_write_data_end().
 */
int layer_write_data(struct layer_write *w, uint64_t block, uint64_t off,
                     const void *p, size_t len, struct err *err);
int layer_write_data_end(struct layer_write *w, uint64_t block, uint64_t size,
                         struct err *err);

int layer_write_entry(struct layer_write *w, const struct index_entry *e,
                      struct err *err);

/* For hdr.zst. */
int layer_write_raw(struct layer_write *w, const void *p, size_t len,
                    struct err *err);
int layer_write_part(struct layer_write *w, uint32_t entry, uint64_t off,
                     uint64_t len, struct err *err);

/* Complete all three files. *ret_h gets the index's header. */
int layer_write_finish(struct layer_write *w, const struct digest *diff_id,
                       uint64_t tar_bytes, struct index_header *ret_h,
                       struct err *err);

#endif
