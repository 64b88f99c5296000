/*
 * msb-tls - the interception of one sandbox: tls.h.
 *
 * Started by the library with fixed descriptors (proto/tls_setup.h). It ends
 * when the network's end of the link does.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"
#include "tls/tls.h"

#include "base/banned.h"

static int early(struct tls *t, struct err *err)
{
	(void)t;
	return cage_early(err);
}

/* None but ours; a terminal as input could be written to. */
static int take_descriptors(struct tls *t, struct err *err)
{
	int null cleanup_close = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct stat st;

	(void)t;
	if (null < 0 || dup2(null, 0) < 0)
		return err_set(err, -errno, "msb-tls cannot close its input");
	for (int fd = TLS_FD_LINK; fd <= TLS_FD_LISTEN; fd++)
		if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) ||
		    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_set(err, -EBADF,
			               "msb-tls is started by msb alone: %d is "
			               "no socket",
			               fd);
	if (close_range(TLS_FD_LISTEN + 1, ~0U, 0) < 0)
		return err_set(err, -errno, "msb-tls cannot close files");
	return 0;
}

static int open_loop(struct tls *t, struct err *err)
{
	t->loop = loop_new();
	return t->loop ? 0 : err_set(err, -errno, "msb-tls has no event loop");
}

static int open_link(struct tls *t, struct err *err)
{
	int r = link_new(t, TLS_FD_LINK, &t->link);

	if (r < 0)
		return err_set(err, r, "msb-tls cannot use its link: %s",
		               strerror(-r));
	t->sink = (struct sink){link_event, t->link};
	return 0;
}

/* All that OpenSSL and libc open when they first need it. */
static int load_libraries(struct tls *t, struct err *err)
{
	unsigned char byte;
	SSL_CTX *ctx;

	(void)t;
	tzset();
	json_object_seed(0); /* chance, for its tables */
	if (!OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
	                              OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
	                              OPENSSL_INIT_ADD_ALL_CIPHERS |
	                              OPENSSL_INIT_ADD_ALL_DIGESTS |
	                              OPENSSL_INIT_LOAD_CONFIG |
	                              OPENSSL_INIT_NO_ATEXIT,
	                      NULL) ||
	    RAND_bytes(&byte, 1) != 1)
		return err_set(err, -EIO, "msb-tls cannot use OpenSSL");
	ctx = SSL_CTX_new(TLS_method());
	if (!ctx)
		return err_set(err, -EIO, "msb-tls cannot use OpenSSL");
	SSL_CTX_free(ctx);
	return 0;
}

static int enter_cage(struct tls *t, struct err *err)
{
	(void)t;
	return cage_enter(err);
}

static int read_setup(struct tls *t, struct err *err)
{
	return setup_read(t, TLS_FD_SETUP, err);
}

static int serve_updates(struct tls *t, struct err *err)
{
	int r = setup_listen(t, TLS_FD_LISTEN);

	return r < 0 ? err_set(err, r, "msb-tls cannot listen: %s",
	                       strerror(-r))
	             : 0;
}

/* The whole start, in order: no value comes before the cage is closed. */
static const struct {
	const char *stage;
	int (*run)(struct tls *t, struct err *err);
} steps[] = {
	{"early",       early           },
	{"descriptors", take_descriptors},
	{"loop",        open_loop       },
	{"link",        open_link       },
	{"libraries",   load_libraries  },
	{"cage",        enter_cage      },
	{"setup",       read_setup      },
	{"updates",     serve_updates   },
};

static int start(struct tls *t)
{
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		uint64_t begin = clock_now_ns();
		int r = steps[i].run(t, &err);

		log_debug("start: %s took %llu us", steps[i].stage,
		          (unsigned long long)(clock_now_ns() - begin) / 1000);
		if (r == 0)
			continue;
		log_error("%s", err.msg);
		setup_refuse(TLS_FD_SETUP, &err);
		return -1;
	}
	(void)close(TLS_FD_SETUP);
	return 0;
}

int main(void)
{
	static struct tls tls;
	int r;

	log_setup_env("msb-tls");
	if (start(&tls) < 0)
		_exit(1);
	r = loop_run(tls.loop);
	if (r < 0)
		log_error("the event loop failed: %s", strerror(-r));
	flow_end_all(&tls);
	secrets_unref(tls.secrets);
	_exit(r < 0);
}
