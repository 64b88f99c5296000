/*
 * tar_read.h - a streaming reader for the tar archives that images hold.
 *
 * Understood: v7, ustar, GNU (long names, base-256 numbers, sparse files), pax
 * (path, linkpath, size, uid, gid, mtime, SCHILY.xattr.*, GNU.sparse.* 0.0,
 * 0.1 and 1.0). Where well-known readers see different things in the same
 * bytes (a size on an entry that has no data, two extended headers for one
 * entry, a pax path beside another GNU long name, ...) the archive is refused:
 * what we show in the guest is what any other tool shows.
 *
 * Nothing is believed: every length is bounded below, checksums are verified,
 * memory does not depend on the archive but for those bounds. The archive's
 * end is its end marker or the end of the input at an entry's border; what
 * follows the marker is passed to the raw hook and otherwise ignored.
 *
 *	tar_init() -> { tar_next() -> { tar_data() } } -> tar_release()
 */
#ifndef IMAGE_TAR_READ_H
#define IMAGE_TAR_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "image/tar_pax.h"

#define TAR_BLOCK      512
#define TAR_LONG_MAX   (64 * 1024)    /* a GNU long name; longest we take */
#define TAR_TAIL_MAX   (64ULL << 20)  /* bytes after the end marker */
#define TAR_SIZE_MAX   ((1ULL << 62)) /* no sum of two sizes overflows */
#define TAR_GLOBAL_MAX 4096           /* global headers in one archive */

enum tar_type {
	TAR_REG = '0',
	TAR_HARD,
	TAR_SYM,
	TAR_CHR,
	TAR_BLK,
	TAR_DIR,
	TAR_FIFO,
};

/* Where the bytes come from: no copy is made of what they point to. */
struct tar_source {
	/*
	 * The next piece, valid until the next call: its length, 0 at the
	 * end, a negative errno with @err filled.
	 */
	ssize_t (*next)(void *arg, const uint8_t **ret, struct err *err);

	/*
	 * Called with every byte that tar_data() does not hand out, in order;
	 * may be NULL. Not 0 stops the reader with that code.
	 */
	int (*raw)(void *arg, const void *data, size_t len, struct err *err);
	void *arg;
};

/* Strings are the reader's, valid until the next call, free of NULs inside. */
struct tar_entry {
	enum tar_type type;
	const char *path, *link;
	size_t path_len, link_len;
	uint32_t mode; /* 07777 */
	uint32_t uid, gid, major, minor, mtime_ns;
	int64_t mtime;
	uint64_t size;         /* with holes */
	const uint8_t *xattrs; /* (u8 nlen, le16 vlen, name, value)* */
	size_t xattrs_len;
};

/* A piece of a file's content; what lies between two pieces is zeros. */
struct tar_piece {
	uint64_t off;
	const uint8_t *data;
	size_t len;
};

struct tar_reader {
	struct tar_source src;
	const uint8_t *p, *end;
	uint64_t pos; /* of p in the archive */
	uint8_t block[TAR_BLOCK];
	struct tar_pax pax;
	struct buf name, link;           /* of the entry */
	struct buf long_name, long_link; /* GNU L and K */
	bool has_long_name, has_long_link;
	uint32_t globals;
	struct tar_sparse sparse; /* n is 0 for ordinary files */
	bool is_sparse;
	uint32_t seg;
	uint64_t seg_done, left, file_off;
	uint32_t pad;
	bool done;
};

void tar_init(struct tar_reader *t, const struct tar_source *src);
void tar_release(struct tar_reader *t);

/* 1 and @ret, 0 at the end of the archive, or a negative errno. */
int tar_next(struct tar_reader *t, struct tar_entry *ret, struct err *err);

/*
 * The next piece of the entry's content: 1 and @ret, 0 when there is no more.
 * What is not asked for goes to the raw hook at the next tar_next().
 */
int tar_data(struct tar_reader *t, struct tar_piece *ret, struct err *err);

/* Fill @err with "tar entry NAME at byte N: ..."; returns @code. */
int tar_error(const struct tar_reader *t, struct err *err, int code,
              const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
