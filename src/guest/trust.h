/*
 * trust.h - the certificates of BOOT.cas are trusted by the machine's programs:
 * those of the host (--trust-host-cas), and the authority of the sandbox's TLS
 * interception.
 *
 *	/.msb/ca.pem		  only they
 *	/.msb/ca-bundle.pem	  they, behind the image's own
 *	the image's bundles	  the same, for each that is there
 *	/etc/ssl/certs/HASH.0	  OpenSSL's folder: of many only the last
 *	.../cacerts		  Java's key stores that are there
 *	variables		  for programs with a list of their own
 *
 * The variables are given to each command whose environment does not have them,
 * to an init, to the services of systemd (DefaultEnvironment) and to login
 * shells (/etc/profile.d). Who begins with an empty environment otherwise, as
 * sudo does, has the files. A program that reads neither fails closed.
 *
 * All files are bound over the image's, see cover.h: the user's disk gets empty
 * files at most.
 */
#ifndef GUEST_TRUST_H
#define GUEST_TRUST_H

#include <stdbool.h>

#include "guest/cover.h"
#include "proto/proto.h"

#define TRUST_MORE   "/.msb/ca.pem"
#define TRUST_BUNDLE "/.msb/ca-bundle.pem"

#define TRUST_STORE_MAX (2u << 20) /* bytes of one store of the image */

/* KEY=VALUE, ended by NULL. */
char *const *trust_variables(void);

/* Is this path (without a first slash) one of a file that is made empty? */
bool trust_made(const char *path, uint64_t size);

/* The options of a tmpfs with room for it: nothing is taken until it is
   written. */
#define TRUST_TMPFS "mode=0755,size=24m,nr_inodes=96"

/* The bundles alone, once more. */
void trust_bundles(struct cover *c, const struct proto_bytes *cas);

/*
 * Takes away what covers the image's bundles, and with @bundle TRUST_BUNDLE's,
 * too: only what has the device @dev.
 */
void trust_uncover(int root_fd, dev_t dev, bool bundle);

/*
 * All that can be: what fails is logged. @init: PID 1 is the image's.
 * TRUST_BUNDLE must be there to be covered.
 */
void trust_provide(struct cover *c, const struct proto_bytes *cas, bool init);

#endif
