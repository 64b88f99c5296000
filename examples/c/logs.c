/*
 * logs.c - what the commands of a sandbox wrote so far, and then what they
 * write, until the machine ends.
 *
 *	cc logs.c -o logs $(pkg-config --cflags --libs microsandbox)
 *	./logs box
 */
#include <microsandbox.h>

#include <stdio.h>
#include <time.h>

static int fail(const struct msb_error *error)
{
	fprintf(stderr, "error: %s\n", error->message);
	return 1;
}

static const char *source_name(int source)
{
	switch (source) {
	case MSB_LOG_STDERR:
		return "err";
	case MSB_LOG_SYSTEM:
		return "msb";
	default:
		return "out";
	}
}

static void show(const struct msb_log_entry *entry)
{
	time_t s = (time_t)(entry->unix_ms / 1000);
	char text[16] = "";
	struct tm tm;

	if (localtime_r(&s, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	printf("%s %s ", text, source_name(entry->source));
	fwrite(entry->data, 1, entry->len, stdout);
	if (entry->len == 0 ||
	    ((const char *)entry->data)[entry->len - 1] != '\n')
		putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct msb_log_entry entry = MSB_LOG_ENTRY_INIT;
	struct msb_log_opts opts = MSB_LOG_OPTS_INIT;
	struct msb_home *home = NULL;
	struct msb_logs *logs = NULL;
	struct msb_error error;
	int r;

	opts.sources = MSB_LOG_COMMANDS | MSB_LOG_SYSTEM;
	opts.follow = 1;
	opts.tail = 100;
	if (argc != 2) {
		fprintf(stderr, "usage: logs NAME\n");
		return 2;
	}
	r = msb_home_open(NULL, &home, &error);
	if (r == 0)
		r = msb_logs_open(home, argv[1], &opts, &logs, &error);
	/* In an event loop: poll msb_logs_fd(), and 0 instead of -1. */
	while (logs && (r = msb_logs_next(logs, -1, &entry, &error)) == 1)
		show(&entry);
	if (r < 0)
		r = fail(&error);
	msb_logs_free(logs);
	msb_home_free(home);
	return r;
}
