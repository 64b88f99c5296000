/*
 * volumes.c - a command whose files outlive its sandbox: a volume at /data,
 * the working folder read-only at /src, and memory at /scratch.
 *
 *	cc volumes.c -o volumes $(pkg-config --cflags --libs microsandbox)
 *	./volumes alpine sh -c 'date >> /data/log; cat /data/log; ls /src'
 */
#include <microsandbox.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VOLUME "example"

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	if (*error->hint)
		fprintf(stderr, "  %s\n", error->hint);
	return 1;
}

/* It is there for the next call: remove it by msb volume rm. */
static int show_volume(struct msb_home *home, struct msb_error *error)
{
	struct msb_volumes *list;
	int r = msb_volume_list(home, VOLUME, &list, error);

	if (r < 0)
		return r;
	printf("%s: %llu of %llu bytes used, in %s\n", VOLUME,
	       (unsigned long long)msb_volumes_get(list, 0)->used_bytes,
	       (unsigned long long)msb_volumes_get(list, 0)->size_bytes,
	       msb_volumes_get(list, 0)->path);
	msb_volumes_free(list);
	return 0;
}

static int run(struct msb_home *home, const char *reference, char **argv,
               struct msb_error *error)
{
	struct msb_mount data = MSB_MOUNT_INIT, src = MSB_MOUNT_INIT,
			 scratch = MSB_MOUNT_INIT;
	const struct msb_mount *const mounts[] = {&data, &src, &scratch, NULL};
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_exec_opts exec = MSB_EXEC_OPTS_INIT;
	struct msb_sandbox *box = NULL;
	struct msb_output *output = NULL;
	struct msb_image *image = NULL;
	int r;

	data.kind = MSB_MOUNT_NAMED;
	data.flags = MSB_MOUNT_CREATE;
	data.source = VOLUME;
	data.target = "/data";
	data.size_bytes = 64ull << 20; /* its quota */
	src.kind = MSB_MOUNT_DIR;
	src.flags = MSB_MOUNT_READ_ONLY;
	src.source = ".";
	src.target = "/src";
	scratch.kind = MSB_MOUNT_TMPFS;
	scratch.target = "/scratch";
	opts.mounts = mounts;
	exec.argv = (const char *const *)argv;
	r = msb_image_pull(home, reference, NULL, &image, error);
	opts.image = image;
	if (r == 0)
		r = msb_sandbox_create(home, &opts, &box, error);
	if (r == 0)
		r = msb_exec_run(box, &exec, NULL, 0, 0, -1, &output, error);
	if (r == 0) {
		fwrite(output->out, 1, output->out_len, stdout);
		/* What it wrote is whole when the machine was shut down. */
		r = msb_sandbox_stop(box, 5000, error);
	}
	msb_output_free(output);
	msb_sandbox_free(box);
	msb_image_free(image);
	return r;
}

int main(int argc, char **argv)
{
	struct msb_error error;
	struct msb_home *home;
	int r;

	if (argc < 3) {
		fprintf(stderr, "usage: volumes IMAGE COMMAND...\n");
		return 2;
	}
	if (msb_home_open(NULL, &home, &error) < 0)
		return fail(&error);
	r = run(home, argv[1], argv + 2, &error);
	if (r == 0)
		r = show_volume(home, &error);
	msb_home_free(home);
	return r < 0 ? fail(&error) : 0;
}
