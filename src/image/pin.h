/* pin.h - the records of what kept sandboxes were made of: pins/ID. */
#ifndef IMAGE_PIN_H
#define IMAGE_PIN_H

#include <stdbool.h>

#define PIN_PATH_LEN 32

/* The path of the pin of @id; false when that is no sandbox's id. */
bool pin_path(const char *id, char out[PIN_PATH_LEN]);

#endif
