/* PEM, names of OpenSSL's folder, Java's key stores: against OpenSSL's and
   Java's own programs, and with what is broken. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"
#include "guest/certs.h"
#include "guest/sha1.h"

static char top[64], command[600];
static struct buf roots = BUF_INIT; /* this host's certificates */

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/msb-test-certs-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	(void)file_read(AT_FDCWD, "/etc/ssl/certs/ca-certificates.crt", &roots);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_release(&roots);
	(void)snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static bool sh(const char *text)
{
	(void)snprintf(command, sizeof(command), "cd %s && (%s)", top, text);
	return system(command) == 0;
}

static void put(const char *name, const void *data, size_t len)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, data, len, 0644), 0);
}

static void get(const char *name, struct buf *to)
{
	char path[100];

	buf_reset(to);
	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	assert_int_equal(file_read(AT_FDCWD, path, to), 0);
}

static struct bytes bytes_of(const struct buf *b)
{
	return (struct bytes){b->data, b->len};
}

static struct bytes text_of(const char *s)
{
	return (struct bytes){(const uint8_t *)s, strlen(s)};
}

/* ---- SHA-1 ---- */

static void check_sha1(const char *text, size_t times, const char *want)
{
	uint8_t got[SHA1_LEN];
	char hex[2 * SHA1_LEN + 1];
	struct sha1 s;

	sha1_init(&s);
	for (size_t i = 0; i < times; i++)
		sha1_add(&s, text, strlen(text));
	sha1_end(&s, got);
	for (size_t i = 0; i < SHA1_LEN; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", got[i]);
	assert_string_equal(hex, want);
}

static void sha1_is_as_published(void **state)
{
	(void)state;
	check_sha1("", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	check_sha1("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d");
	check_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	           1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	check_sha1("a", 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	check_sha1("aaaaaaaaaa", 100000,
	           "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

/* ---- PEM ---- */

static int count(struct bytes text, struct buf *last)
{
	struct bytes pem;
	size_t pos = 0;
	int n = 0, r;

	while ((r = certs_next(text, &pos, last, &pem)) > 0)
		n++;
	assert_int_equal(r, 0);
	assert_true(pos == text.n);
	return n;
}

#define B "-----BEGIN CERTIFICATE-----"
#define E "-----END CERTIFICATE-----"

static void pem_is_taken_apart(void **state)
{
	struct buf cleanup_buf der = BUF_INIT;

	(void)state;
	assert_int_equal(count(text_of("x\n" B "\nAAEC\n" E "\ny"), &der), 1);
	assert_int_equal(der.len, 3);
	assert_memory_equal(der.data, "\0\1\2", 3);
	assert_int_equal(count(text_of(B "\r\nAA\r\nE=\r\n" E "\r\n"), &der),
	                 1);
	assert_int_equal(der.len, 2);
	assert_int_equal(count(text_of(B "/+A=" E B "AA==" E), &der), 2);
	assert_int_equal(der.len, 1);
}

static void broken_pem_is_passed_over(void **state)
{
	static const char *const bad[] = {
		"",
		B,
		B E,
		B "\nAAEC\n",
		B "\nAA?C\n" E,
		B "\nA\n" E,
		B "\nAA=A\n" E,
		B "\nA===\n" E,
		B "\nHeader: x\n\nAAEC\n" E,
		B "\nAAEC\n-----END CERTIFICATE----",
		"-----BEGIN TRUSTED CERTIFICATE-----\nAAEC\n" E,
	};
	struct buf cleanup_buf der = BUF_INIT, large = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(count(text_of(bad[i]), &der), 0);
	assert_int_equal(count(text_of(B B "\nAAEC\n" E), &der), 1);
	assert_int_equal(count((struct bytes){(const uint8_t *)B "\0AAEC" E,
	                                      sizeof(B E) + 4},
	                       &der),
	                 0);
	/* One that is too large, and many that never end: linear time. */
	(void)buf_adds(&large, B);
	for (int i = 0; i < 100000; i++)
		(void)buf_adds(&large, "AAEC");
	(void)buf_adds(&large, E);
	assert_int_equal(count(bytes_of(&large), &der), 0);
	for (int i = 0; i < 100000; i++)
		(void)buf_adds(&large, B);
	assert_int_equal(count(bytes_of(&large), &der), 0);
}

/* ---- DER ---- */

static void broken_der_is_refused(void **state)
{
	static const char *const bad[] = {
		"",         "\x30",         "\x30\x01",
		"\x30\x80", "\x30\x81",     "\x30\x85\x01\x01\x01\x01\x01",
		"\x1f\x01", "\x30\x81\x80", "\x30\x84\xff\xff\xff\xff",
	};
	struct bytes body;
	uint8_t tag;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct bytes in = text_of(bad[i]);
		uint32_t hash;

		assert_false(certs_der(&in, &tag, &body));
		assert_int_equal(certs_hash(text_of(bad[i]), &hash), -EBADMSG);
	}
}

/* Each prefix, and each byte changed, of a real one: nothing is read beyond. */
static void damaged_certificates_do_no_harm(void **state)
{
	struct buf cleanup_buf der = BUF_INIT;
	struct bytes pem;
	size_t pos = 0;
	uint32_t hash;

	(void)state;
	if (certs_next(bytes_of(&roots), &pos, &der, &pem) != 1)
		skip();
	for (size_t n = 0; n < der.len; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memcpy(copy, der.data, n);
		assert_int_not_equal(certs_hash((struct bytes){copy, n}, &hash),
		                     0);
		free(copy);
	}
	for (size_t n = 0; n < der.len; n++) {
		der.data[n] ^= 0x81;
		(void)certs_hash(bytes_of(&der), &hash);
		der.data[n] ^= 0x81;
	}
}

/* ---- hashes ---- */

static void check_hash(const struct buf *der)
{
	struct buf cleanup_buf want = BUF_INIT;
	char got[16];
	uint32_t hash;
	int r = certs_hash(bytes_of(der), &hash);

	if (r < 0)
		fail_msg("certs_hash: %s", strerror(-r));
	put("c.der", der->data, der->len);
	assert_true(sh("openssl x509 -inform DER -in c.der -noout -hash >h"));
	get("h", &want);
	(void)snprintf(got, sizeof(got), "%08x\n", hash);
	assert_string_equal(got, buf_str(&want));
}

static void hashes_are_openssls(void **state)
{
	struct buf cleanup_buf der = BUF_INIT;
	struct bytes pem;
	size_t pos = 0;

	(void)state;
	if (!roots.len || !sh("openssl version >/dev/null"))
		skip();
	for (int i = 0; i < 40; i++)
		if (certs_next(bytes_of(&roots), &pos, &der, &pem) == 1)
			check_hash(&der);
}

static void odd_names_are_hashed_too(void **state)
{
	static const char *const names[] = {
		"/CN=microsandbox CA",
		"/CN=  A   b\tC  /O=X",
		"/C=DE/O=Gr\xc3\xbc\xc3\x9f Gott/CN=\xc3\x84",
		"/emailAddress=A@B.C/serialNumber=1",
	};
	struct buf cleanup_buf text = BUF_INIT, der = BUF_INIT;
	struct bytes pem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char line[300];
		size_t pos = 0;

		(void)snprintf(line, sizeof(line),
		               "openssl req -x509 -newkey ec -pkeyopt "
		               "ec_paramgen_curve:P-256 -nodes -utf8 -keyout k "
		               "-out c -subj '%s' 2>/dev/null",
		               names[i]);
		if (!sh(line))
			skip();
		get("c", &text);
		assert_int_equal(certs_next(bytes_of(&text), &pos, &der, &pem),
		                 1);
		check_hash(&der);
	}
}

/* ---- Java ---- */

#define PEM1 B "\nMAMCAQE=\n" E "\n" /* SEQUENCE { INTEGER 1 } */
#define PEM2 B "\nMAMCAQI=\n" E "\n"

static const uint8_t der1[] = {0x30, 3, 2, 1, 1}, der2[] = {0x30, 3, 2, 1, 2};

static void take(struct bytes *in, const void *want, size_t n)
{
	assert_true(in->n >= n);
	assert_memory_equal(in->p, want, n);
	in->p += n;
	in->n -= n;
}

static void take_entry(struct bytes *in, const char *alias,
                       const uint8_t der[5])
{
	take(in, "\0\0\0\2", 4);
	take(in, (uint8_t[]){0, (uint8_t)strlen(alias)}, 2);
	take(in, alias, strlen(alias));
	take(in, "\0\0\1\2\3\4\5\6", 8);
	take(in, "\0\5X.509\0\0\0\5", 11);
	take(in, der, 5);
}

static const struct bytes none;

static void a_store_is_written_as_java_reads_it(void **state)
{
	struct buf cleanup_buf out = BUF_INIT, again = BUF_INIT;
	struct bytes in;
	struct sha1 s;
	uint8_t digest[SHA1_LEN];

	(void)state;
	assert_int_equal(certs_java(none, text_of(PEM1), text_of(PEM2),
	                            0x010203040506, &out),
	                 0);
	in = bytes_of(&out);
	take(&in, "\xfe\xed\xfe\xed\0\0\0\2\0\0\0\2", 12);
	take_entry(&in, "microsandbox-0", der1);
	take_entry(&in, "microsandbox-1", der2);
	sha1_init(&s);
	sha1_add(&s, "\0c\0h\0a\0n\0g\0e\0i\0tMighty Aphrodite", 32);
	sha1_add(&s, out.data, out.len - SHA1_LEN);
	sha1_end(&s, digest);
	take(&in, digest, SHA1_LEN);
	assert_int_equal(in.n, 0);
	/* What is there stays; the bundle is not looked at then. */
	assert_int_equal(certs_java(bytes_of(&out), text_of(PEM2),
	                            text_of(PEM1), 0x010203040506, &again),
	                 0);
	in = bytes_of(&again);
	take(&in, "\xfe\xed\xfe\xed\0\0\0\2\0\0\0\3", 12);
	take_entry(&in, "microsandbox-0", der1);
	take_entry(&in, "microsandbox-1", der2);
	take_entry(&in, "microsandbox-2", der1);
	assert_int_equal(in.n, SHA1_LEN);
}

static void a_store_is_not_made_poorer(void **state)
{
	static const char *const bad[] = {
		"",
		"garbage",
		"\xfe\xed\xfe\xed",
		"\x30\x82\xff\xff",
		"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01\xa0\x84\xff"
		"\xff\xff\xff",
		"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01\xa0\x04\x04"
		"\x03xyz"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf cleanup_buf out = BUF_INIT;

		assert_int_equal(certs_java(text_of(bad[i]), none,
		                            text_of(PEM1), 1, &out),
		                 -ENODATA);
	}
}

static void a_store_has_bounds(void **state)
{
	static const uint8_t huge[64] = {0xfe, 0xed, 0xfe, 0xed, 0,   0,
	                                 0,    2,    0xff, 0xff, 0xff};
	struct buf cleanup_buf many = BUF_INIT, out = BUF_INIT;

	(void)state;
	assert_int_equal(certs_java((struct bytes){huge, sizeof(huge)}, none,
	                            text_of(PEM1), 1, &out),
	                 -ENODATA);
	for (unsigned i = 0; i <= CERTS_COUNT_MAX; i++)
		(void)buf_adds(&many, PEM1);
	assert_int_equal(certs_java(none, bytes_of(&many), none, 1, &out),
	                 -E2BIG);
}

/* keytool's own words on a store of ours: all of them are there. */
static void check_keytool(const char *old, struct bytes bundle, int want)
{
	struct buf cleanup_buf in = BUF_INIT, out = BUF_INIT;
	struct buf cleanup_buf more = BUF_INIT;
	char line[300];

	if (old)
		get(old, &in);
	get("ca.pem", &more);
	assert_int_equal(certs_java(bytes_of(&in), bundle, bytes_of(&more),
	                            1700000000000, &out),
	                 0);
	put("store", out.data, out.len);
	(void)snprintf(line, sizeof(line),
	               "test $(keytool -list -keystore store -storepass "
	               "changeit 2>/dev/null | grep -c trustedCertEntry) = %d",
	               want);
	assert_true(sh(line));
	assert_true(sh("keytool -list -rfc -keystore store -storepass changeit "
	               "2>/dev/null | tr -d '\\r' | grep -q \"$(sed -n 2p "
	               "ca.pem)\""));
}

static void keytool_reads_it(void **state)
{
	struct buf cleanup_buf one = BUF_INIT, der = BUF_INIT;
	int n = count(bytes_of(&roots), &der);

	(void)state;
	if (!sh("keytool -help >/dev/null 2>&1 && openssl req -x509 -newkey ec "
	        "-pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out ca.pem "
	        "-subj '/CN=microsandbox CA' 2>/dev/null"))
		skip();
	check_keytool(NULL, bytes_of(&roots), n + 1);
	/* A JKS, and a PKCS #12 as Java has it without a password. */
	assert_true(sh("openssl req -x509 -newkey ec -pkeyopt "
	               "ec_paramgen_curve:P-256 -nodes -keyout k -out o.pem "
	               "-subj /CN=own 2>/dev/null && keytool -importcert "
	               "-noprompt -alias own -file o.pem -storetype JKS "
	               "-keystore o.jks -storepass changeit >/dev/null 2>&1"));
	check_keytool("o.jks", none, 2);
	assert_true(sh("keytool -J-Dkeystore.pkcs12.certProtectionAlgorithm="
	               "NONE -J-Dkeystore.pkcs12.macAlgorithm=NONE -importcert "
	               "-noprompt -alias own -file o.pem -storetype PKCS12 "
	               "-keystore o.p12 -storepass changeit >/dev/null 2>&1"));
	check_keytool("o.p12", none, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha1_is_as_published),
		cmocka_unit_test(pem_is_taken_apart),
		cmocka_unit_test(broken_pem_is_passed_over),
		cmocka_unit_test(broken_der_is_refused),
		cmocka_unit_test(damaged_certificates_do_no_harm),
		cmocka_unit_test(hashes_are_openssls),
		cmocka_unit_test(odd_names_are_hashed_too),
		cmocka_unit_test(a_store_is_written_as_java_reads_it),
		cmocka_unit_test(a_store_is_not_made_poorer),
		cmocka_unit_test(a_store_has_bounds),
		cmocka_unit_test(keytool_reads_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
