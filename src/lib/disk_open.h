/*
 * disk_open.h - open a disk image of the user's: for --mount-disk, or a root.
 *
 * Its format is what the user says, or else what its name's end says, never
 * what its bytes look like: a guest may write any header to its disk. A raw
 * image by name that begins like qcow2 is most likely a user's mistake and is
 * refused, with the words that make it clear either way.
 *
 * A qcow2 image that is based on another file, or keeps its data in one, is
 * refused: the file's author would choose what is read of the host.
 */
#ifndef LIB_DISK_OPEN_H
#define LIB_DISK_OPEN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/fdio.h"
#include "disk/disk.h"

/*
 * The format of the image at @path: @stated ("raw", "qcow2"), or if NULL by
 * the end: .qcow2, .raw, .img. What is kept for later starts is the result.
 */
int disk_image_format(const char *path, const char *stated,
                      enum disk_format *ret, struct err *err);

struct disk_image {
	const char *path;
	const char *format; /* as said, or NULL */
	bool read_only;
	enum file_links links; /* that @path may have */
};

/*
 * Open and check a file or block device. The descriptor carries a lock for as
 * long as it is open anywhere: several may read an image, or one may write it
 * (-EBUSY).
 */
int disk_open_image(const struct disk_image *i, struct disk_layer *ret,
                    struct err *err);

/* Only look, whoever has it: before a sandbox is made. */
int disk_look_image(const struct disk_image *i, enum disk_format *ret,
                    struct err *err);

#endif
