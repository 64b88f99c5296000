/*
 * files.c - put a file into a sandbox, look at it there, take a folder out.
 *
 *	cc files.c -o files $(pkg-config --cflags --libs microsandbox)
 *	./files box files.c
 */
#include <microsandbox.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	return 1;
}

/* Called at most every 50 ms; something else than 0 would end the copy. */
static int on_progress(void *arg, const struct msb_copy_event *event)
{
	(void)arg;
	fprintf(stderr, "\r%llu files, %llu bytes",
	        (unsigned long long)event->files,
	        (unsigned long long)event->bytes);
	return 0;
}

static int show(struct msb_sandbox *box, struct msb_error *error)
{
	struct msb_file_list *list;
	int r = msb_file_list(box, "/tmp/example", &list, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < msb_file_list_count(list); i++) {
		const struct msb_file_info *f = msb_file_list_get(list, i);

		printf("%06o %8llu %s\n", (unsigned)f->mode,
		       (unsigned long long)f->size_bytes, f->path);
	}
	msb_file_list_free(list);
	return 0;
}

static int work(struct msb_sandbox *box, const char *path,
                struct msb_error *error)
{
	static const char note[] = "from the host\n";
	struct msb_copy_opts opts = MSB_COPY_OPTS_INIT;
	void *data;
	size_t len;

	opts.event = on_progress;
	if (msb_file_mkdir(box, "/tmp/example", 0755, MSB_FILE_RECURSIVE,
	                   error) < 0 ||
	    msb_file_write(box, "/tmp/example/note", note, strlen(note), 0, 0,
	                   error) < 0 ||
	    msb_copy_in(box, path, "/tmp/example", &opts, error) < 0 ||
	    show(box, error) < 0 ||
	    msb_file_read(box, "/tmp/example/note", 0, &data, &len, error) < 0)
		return -1;
	fwrite(data, 1, len, stdout);
	msb_free(data);
	return msb_file_remove(box, "/tmp/example", MSB_FILE_RECURSIVE, error);
}

int main(int argc, char **argv)
{
	struct msb_sandbox *box = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: files SANDBOX PATH\n");
		return 2;
	}
	if (msb_home_open(NULL, &home, &error) < 0 ||
	    msb_sandbox_open(home, argv[1], &box, &error) < 0 ||
	    work(box, argv[2], &error) < 0)
		code = fail(&error);
	msb_sandbox_free(box);
	msb_home_free(home);
	return code;
}
