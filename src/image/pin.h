/*
 * pin.h - the records of what kept sandboxes were made of, pins/ID, and of
 * what snapshots were written over, HOME/snapshots/NAME/image.
 */
#ifndef IMAGE_PIN_H
#define IMAGE_PIN_H

#include <stdbool.h>

#define PIN_PATH_LEN          32
#define PIN_SNAPSHOT_PATH_LEN 192

/* The path of the pin of @id; false when that is no sandbox's id. */
bool pin_path(const char *id, char out[PIN_PATH_LEN]);

/*
 * The same of a snapshot's folder, as a path from the store. False when that
 * is no name of one.
 */
bool pin_snapshot_path(const char *folder, char out[PIN_SNAPSHOT_PATH_LEN]);

#endif
