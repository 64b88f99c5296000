/*
 * images.c - fetch an image with its progress shown, then list what is here.
 *
 *	cc images.c -o images $(pkg-config --cflags --libs microsandbox)
 *	./images alpine
 */
#include <microsandbox.h>

#include <inttypes.h>
#include <stdio.h>

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	if (*error->hint)
		fprintf(stderr, "  %s\n", error->hint);
	return 1;
}

/* Called from the library's threads, one call at a time. Not 0 would cancel. */
static int on_event(void *arg, const struct msb_pull_event *event)
{
	(void)arg;
	switch (event->kind) {
	case MSB_PULL_RESOLVED:
		fprintf(stderr, "%s: %u layers\n", event->reference,
		        (unsigned)event->layer_count);
		break;
	case MSB_PULL_LAYER:
		fprintf(stderr, "layer %u: %" PRIu64 " of %" PRIu64 " bytes\n",
		        (unsigned)event->layer, event->done, event->total);
		break;
	case MSB_PULL_LAYER_DONE:
		fprintf(stderr, "layer %u: %s\n", (unsigned)event->layer,
		        event->cached ? "is here" : "done");
		break;
	default:
		break;
	}
	return 0;
}

static void show(const struct msb_image_info *info)
{
	printf("%s\n  %s\n  %s, %.1f MiB in %u layers\n", info->reference,
	       info->id, info->platform, (double)info->size_bytes / 1048576,
	       (unsigned)info->layer_count);
	for (const char *const *arg = info->cmd; *arg; arg++)
		printf("  command: %s\n", *arg);
	for (const char *const *var = info->env; *var; var++)
		printf("  variable: %s\n", *var);
}

static int list(struct msb_home *home)
{
	struct msb_image **images;
	struct msb_error error;
	size_t count;

	if (msb_image_list(home, &images, &count, &error) < 0)
		return fail(&error);
	for (size_t i = 0; i < count; i++)
		show(msb_image_info(images[i]));
	msb_image_list_free(images, count);
	return 0;
}

int main(int argc, char **argv)
{
	struct msb_pull_opts opts = MSB_PULL_OPTS_INIT;
	struct msb_image *image = NULL;
	struct msb_home *home;
	struct msb_error error;
	int code;

	if (argc != 2) {
		fprintf(stderr, "usage: images REFERENCE\n");
		return 2;
	}
	if (msb_home_open(NULL, &home, &error) < 0)
		return fail(&error);
	opts.event = on_event;
	if (msb_image_pull(home, argv[1], &opts, &image, &error) < 0)
		code = fail(&error);
	else
		code = list(home);
	msb_image_free(image);
	msb_home_free(home);
	return code;
}
