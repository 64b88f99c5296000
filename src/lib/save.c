#include <errno.h>

#include "image/archive_out.h"
#include "lib/error.h"
#include "lib/home.h"
#include "lib/image.h"
#include "lib/options.h"
#include "lib/out_file.h"

#include "base/banned.h"

_Static_assert((int)MSB_ARCHIVE_DOCKER == (int)ARCHIVE_DOCKER &&
                       (int)MSB_ARCHIVE_OCI == (int)ARCHIVE_OCI,
               "the forms are the same, number for number");

static int save(struct msb_home *home, const char *const *references,
                const struct msb_save_opts *o, const char *path,
                struct err *err)
{
	struct out_file cleanup_out_file f = OUT_FILE_INIT;
	struct image_pull_opts events = {0};
	struct lib_listener listener;
	size_t n = 0;
	int r;

	while (references && references[n])
		n++;
	if (o->format != MSB_ARCHIVE_DOCKER && o->format != MSB_ARCHIVE_OCI)
		return err_set(err, -EINVAL, "no such form of archive: %d",
		               (int)o->format);
	lib_listen(&listener, o->event, o->event_arg, &events);
	r = out_file_open(&f, path, 0666, err);
	if (r == 0)
		r = image_save(home->store, references, n,
		               (enum archive_format)o->format, f.fd, &events,
		               err);
	return r < 0 ? r : out_file_finish(&f, path, err);
}

int msb_image_save(struct msb_home *home, const char *const *references,
                   const struct msb_save_opts *opts, const char *path,
                   struct msb_error *error)
{
	struct msb_save_opts o = MSB_SAVE_OPTS_INIT;
	struct err err = {0};
	int r;

	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL, "msb_save_opts: wrong size");
	if (!path || !*path)
		return error_set(error, -EINVAL, "no archive was named");
	r = save(home, references, &o, path, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}
