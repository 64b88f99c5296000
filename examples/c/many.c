/*
 * many.c - a machine in each of several threads. One home serves all; a
 * sandbox and its commands belong to the thread that made them.
 *
 *	cc many.c -o many $(pkg-config --cflags --libs microsandbox) -pthread
 *	./many alpine 4
 */
#include <microsandbox.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MACHINES_MAX 64

struct job {
	struct msb_home *home;
	struct msb_image *image;
	unsigned number;
	int code; /* of its command; -1: error */
	char said[256];
	struct msb_error error;
};

static int run(struct job *job, struct msb_sandbox *sandbox)
{
	const char *argv[] = {"sh", "-c", "echo job $JOB on $(uname -sr)",
	                      NULL};
	char number[32];
	const char *env[] = {number, NULL};
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;
	struct msb_output *output = NULL;
	int r;

	snprintf(number, sizeof(number), "JOB=%u", job->number);
	opts.argv = argv;
	opts.env = env;
	r = msb_exec_run(sandbox, &opts, NULL, 0, 0, 60000, &output,
	                 &job->error);
	if (r == 0) {
		snprintf(job->said, sizeof(job->said), "%s",
		         (const char *)output->out);
		r = output->signal ? 128 + output->signal : output->code;
	}
	msb_output_free(output);
	return r;
}

static void *work(void *arg)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	struct msb_sandbox *sandbox;
	struct job *job = arg;

	job->code = -1;
	opts.image = job->image;
	opts.memory_bytes = 128ull << 20;
	if (msb_sandbox_create(job->home, &opts, &sandbox, &job->error) < 0)
		return NULL;
	job->code = run(job, sandbox);
	msb_sandbox_free(sandbox);
	return NULL;
}

static int run_all(struct msb_home *home, struct msb_image *image, unsigned n)
{
	struct job jobs[MACHINES_MAX];
	pthread_t threads[MACHINES_MAX];
	int failed = 0;

	for (unsigned i = 0; i < n; i++) {
		jobs[i] =
			(struct job){.home = home, .image = image, .number = i};
		if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		if (jobs[i].code == 0)
			printf("%s", jobs[i].said);
		else
			fprintf(stderr, "job %u: %s\n", i,
			        jobs[i].code < 0 ? jobs[i].error.message
			                         : "its command failed");
		failed += jobs[i].code != 0;
	}
	return failed != 0;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
	struct msb_image *image = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = 1;

	if (n < 1 || n > MACHINES_MAX) {
		fprintf(stderr, "usage: many IMAGE COUNT\n");
		return 2;
	}
	if (msb_home_open(NULL, &home, &error) < 0 ||
	    msb_image_pull(home, argv[1], NULL, &image, &error) < 0)
		fprintf(stderr, "error: %s\n", error.message);
	else
		code = run_all(home, image, n);
	msb_image_free(image);
	msb_home_free(home);
	return code;
}
