/*
 * disk_model.h - a disk next to a plain array that must always be equal, and
 * qemu-img as the judge of what is in the file.
 */
#ifndef TEST_DISK_MODEL_H
#define TEST_DISK_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "disk/disk.h"

#define SECTOR 512u

struct model {
	char dir[64]; /* removed by model_release() */
	struct disk *disk;
	uint8_t *bytes;
	uint64_t size;
	uint64_t seed;
	struct disk_layer layer[DISK_LAYERS_MAX];
	uint32_t nlayers;
};

uint64_t model_random(struct model *m, uint64_t below);

void model_init(struct model *m, uint64_t size, uint64_t seed);
void model_release(struct model *m);

/* A file of the folder; model_path() has room for a few at once. */
const char *model_path(const struct model *m, const char *name);
int model_file(const struct model *m, const char *name);

/* Put a file on top of the chain; the descriptor becomes the model's. */
void model_push(struct model *m, int fd, enum disk_format format);
void model_open(struct model *m, bool read_only);
void model_close(struct model *m);

void model_write(struct model *m, uint64_t pos, uint64_t len);
void model_check(struct model *m, uint64_t pos, uint64_t len);
void model_check_all(struct model *m);
/* One random step; all ranges are whole sectors. */
void model_step(struct model *m);

bool have_qemu_img(void);
/* qemu-img with these words; its exit code. */
int qemu_img(const char *args, ...) __attribute__((format(printf, 1, 2)));
/* The file is without errors and has the array's bytes. */
void model_judge(struct model *m, const char *name);

#endif
