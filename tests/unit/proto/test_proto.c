/*
 * The wire form of every message, byte by byte. The golden bytes come from the
 * second implementation of the protocol, tests/e2e/lib/proto.py: a change that
 * both sides of ours would agree on is still found here.
 */
#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "proto/proto.h"

/* What each kind of field holds in the golden frames. */
static char *const list[] = {(char *)"one", (char *)"", NULL};

static void fill_u8(proto_u8 *p)
{
	*p = 0x11;
}

static void fill_u16(proto_u16 *p)
{
	*p = 0x2221;
}

static void fill_u32(proto_u32 *p)
{
	*p = 0x34333231;
}

static void fill_u64(proto_u64 *p)
{
	*p = 0x4847464544434241;
}

static void fill_i32(proto_i32 *p)
{
	*p = -2;
}

static void fill_str(proto_str *p)
{
	*p = "text";
}

static void fill_bytes(proto_bytes *p)
{
	*p = (proto_bytes){.p = (const uint8_t *)"\0\xff", .n = 2};
}

static void fill_strs(proto_strs *p)
{
	*p = (proto_strs){.v = list, .n = 2};
}

#define FILL_FIELD(msg, kind, field) fill_##kind(&m->msg.field);
#define FILLER(num, name, NAME)                                                \
	static void fill_message_##name(struct proto_msg *m)                   \
	{                                                                      \
		PROTO_##NAME##_FIELDS(FILL_FIELD, name)                        \
	}
PROTO_MESSAGES(FILLER)

static const struct {
	enum proto_type type;
	unsigned number;
	void (*fill)(struct proto_msg *m);
} messages[] = {
#define MESSAGE(num, name, NAME) {PROTO_##NAME, num, fill_message_##name},
	PROTO_MESSAGES(MESSAGE)};

struct golden {
	enum proto_type type;
	const char *hex;
};

/* clang-format off */
#define ROW(NAME, hex) {PROTO_##NAME, hex},
static const struct golden golden[] = {
	ROW(HELLO,
	    "14000000010000003132333441424344454647484142434445"
	    "464748")
	ROW(BOOT,
	    "99000000020000003132333441424344454647480400000074"
	    "65787400040000007465787400040000007465787400020000"
	    "0000ff02000000030000006f6e650000000000000200000003"
	    "0000006f6e6500000000000002000000030000006f6e650000"
	    "00000000040000007465787400414243444546474802000000"
	    "030000006f6e6500000000000002000000030000006f6e6500"
	    "00000000000200000000ff")
	ROW(READY,
	    "11000000030000004142434445464748040000007465787400")
	ROW(FAILED,
	    "1600000004000000040000007465787400feffffff04000000"
	    "7465787400")
	ROW(SHUTDOWN,
	    "040000000500000031323334")
	ROW(CLOCK,
	    "08000000060000004142434445464748")
	ROW(PING,
	    "08000000070000004142434445464748")
	ROW(PONG,
	    "08000000080000004142434445464748")
	ROW(EXEC,
	    "4b0000001000000002000000030000006f6e65000000000000"
	    "02000000030000006f6e650000000000000400000074657874"
	    "0004000000746578740002000000030000006f6e6500000000"
	    "0000112122212211")
	ROW(STARTED,
	    "040000001100000031323334")
	ROW(EXEC_FAILED,
	    "1600000012000000040000007465787400feffffff04000000"
	    "7465787400")
	ROW(STDIN,
	    "06000000130000000200000000ff")
	ROW(STDIN_ACK,
	    "040000001400000031323334")
	ROW(STDOUT,
	    "06000000150000000200000000ff")
	ROW(STDERR,
	    "06000000160000000200000000ff")
	ROW(SIGNAL,
	    "040000001700000031323334")
	ROW(RESIZE,
	    "040000001800000021222122")
	ROW(EXITED,
	    "0800000019000000feffffff31323334")
	ROW(FILE_REQ,
	    "33000000200000001104000000746578740004000000746578"
	    "74003132333431323334313233343132333441424344454647"
	    "484142434445464748")
	ROW(FILE_ENTRY,
	    "4d000000210000000400000074657874000400000074657874"
	    "00113132333431323334313233343132333431323334313233"
	    "34414243444546474841424344454647484142434445464748"
	    "313233340200000000ff")
	ROW(FILE_DATA,
	    "0e0000002200000041424344454647480200000000ff")
	ROW(FILE_DONE,
	    "1500000023000000feffffff04000000746578740041424344"
	    "45464748")
	ROW(VMM_STARTED,
	    "1a000000400000000400000074657874000400000074657874"
	    "004142434445464748")
	ROW(VMM_READY,
	    "29000000410000004142434445464748414243444546474841"
	    "4243444546474802000000030000006f6e65000000000000")
	ROW(VMM_FAILED,
	    "2500000042000000feffffff04000000746578740004000000"
	    "74657874000400000074657874000200000000ff")
	ROW(VMM_CONNECT,
	    "040000004300000031323334")
	ROW(VMM_STOP,
	    "040000004400000031323334")
	ROW(VMM_EXITED,
	    "1c000000450000000400000074657874000400000074657874"
	    "000200000000fffeffffff")
	ROW(VMM_TOUCH,
	    "040000004600000031323334")
	ROW(VMM_PING,
	    "08000000470000004142434445464748")
	ROW(VMM_PONG,
	    "08000000480000004142434445464748")
	ROW(VMM_DETACH,
	    "040000004900000031323334")
	ROW(VMM_KEEP,
	    "160000004a0000004142434445464748111111113132333402"
	    "00000000ff")
	ROW(VMM_KEPT,
	    "0c0000004b0000004142434445464748feffffff")
	ROW(VMM_TAKE,
	    "080000004c0000004142434445464748")
	ROW(VMM_TAKEN,
	    "1a0000004d000000feffffff41424344454647481111111131"
	    "3233340200000000ff")
	ROW(VMM_STATS,
	    "080000004e0000004142434445464748")
	ROW(VMM_STATS_REPLY,
	    "d80000004f0000004142434445464748414243444546474841"
	    "42434445464748414243444546474841424344454647484142"
	    "43444546474841424344454647484142434445464748414243"
	    "44454647484142434445464748414243444546474841424344"
	    "45464748414243444546474831323334313233344142434445"
	    "46474841424344454647484142434445464748414243444546"
	    "47484142434445464748414243444546474841424344454647"
	    "48414243444546474841424344454647484142434445464748"
	    "414243444546474841424344454647484142434445464748")
	ROW(VMM_NET_EXPLAIN,
	    "1c000000500000004142434445464748040000007465787400"
	    "2122040000007465787400")
	ROW(VMM_NET_EXPLAINED,
	    "15000000510000004142434445464748feffffff0400000074"
	    "65787400")
};
/* clang-format on */

static void from_hex(const char *hex, struct buf *b)
{
	buf_reset(b);
	for (; *hex; hex += 2) {
		char two[3] = {hex[0], hex[1], '\0'};

		assert_int_equal(buf_addc(b, (char)strtoul(two, NULL, 16)), 0);
	}
}

static void encode_again(const struct buf *frame, const struct proto_msg *msg)
{
	struct buf cleanup_buf b = BUF_INIT;

	assert_int_equal(proto_encode(&b, msg), 0);
	assert_int_equal(b.len, frame->len);
	assert_memory_equal(b.data, frame->data, b.len);
}

/* A copy that ends where it ends, so that ASan sees a read behind it. */
static ssize_t decode(const void *data, size_t len, struct proto_msg *msg)
{
	void *copy = malloc(len ? len : 1);
	ssize_t n;

	assert_non_null(copy);
	memcpy(copy, data, len);
	n = proto_decode(copy, len, msg);
	if (n > 0)
		proto_release(msg);
	free(copy);
	return n;
}

static ssize_t decode_buf(const struct buf *b)
{
	struct proto_msg msg = {0};

	return decode(b->data, b->len, &msg);
}

static void every_message_has_its_golden_bytes(void **state)
{
	struct buf cleanup_buf want = BUF_INIT;

	(void)state;
	assert_int_equal(ARRAY_SIZE(golden), ARRAY_SIZE(messages));
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		struct proto_msg m = {.type = messages[i].type};

		assert_int_equal(m.type, golden[i].type);
		assert_int_equal(m.type, messages[i].number);
		messages[i].fill(&m);
		from_hex(golden[i].hex, &want);
		encode_again(&want, &m);
	}
}

static void golden_bytes_decode_to_what_was_encoded(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		struct proto_msg cleanup_proto msg = {0};

		from_hex(golden[i].hex, &b);
		assert_int_equal(proto_decode(b.data, b.len, &msg), b.len);
		assert_int_equal(msg.type, golden[i].type);
		encode_again(&b, &msg);
	}
}

static void every_beginning_of_a_frame_asks_for_more(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct proto_msg msg = {.type = PROTO_PONG};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		from_hex(golden[i].hex, &b);
		for (size_t n = 0; n < b.len; n++)
			assert_int_equal(decode(b.data, n, &msg), 0);
	}
	assert_int_equal(msg.type, PROTO_PONG);
}

static void a_payload_one_byte_short_or_long_is_refused(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		from_hex(golden[i].hex, &b);
		put_le32(b.data, get_le32(b.data) - 1);
		assert_int_equal(decode_buf(&b), -EPROTO);
		put_le32(b.data, get_le32(b.data) + 2);
		assert_int_equal(buf_addc(&b, '\0'), 0);
		assert_int_equal(decode_buf(&b), -EPROTO);
	}
}

/* Whatever changes on the way: refused, incomplete or a message; no harm. */
static void any_changed_byte_does_no_harm(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		from_hex(golden[i].hex, &b);
		for (size_t at = 0; at < b.len; at++) {
			uint8_t was = b.data[at];

			for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
				ssize_t n;

				b.data[at] = values[v];
				n = decode_buf(&b);
				assert_true(n == 0 || n == -EPROTO ||
				            n == (ssize_t)b.len || at < 4);
			}
			b.data[at] = was;
		}
	}
}

struct bad {
	const char *what, *hex;
};

/* clang-format off */
static const struct bad bad_frames[] = {
	{"type 0",            "00000000" "0000" "0000"                        },
	{"type not in use",   "04000000" "0900" "0000" "00000000"             },
	{"reserved field",    "08000000" "0700" "0100" "4142434445464748"     },
	{"over the limit",    "01001000" "1300" "0000"                        },
	{"4 GiB",             "ffffffff" "1300" "0000"                        },
	{"string over end",   "0d000000" "0300" "0000" "0000000000000000"
                              "ffffffff" "00"                                 },
	{"string without NUL", "0e000000" "0300" "0000" "0000000000000000"
                               "01000000" "6161"                              },
	{"NUL in a string",   "0f000000" "0300" "0000" "0000000000000000"
                              "02000000" "610000"                             },
	{"bytes over end",    "06000000" "1300" "0000" "03000000" "6161"      },
	{"list of 2^32 - 1",  "04000000" "1000" "0000" "ffffffff"             },
	{"list over end",     "09000000" "1000" "0000" "02000000" "00000000"
                              "00"                                            },
};
/* clang-format on */

static void frames_that_break_the_rules_are_refused(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_frames); i++) {
		from_hex(bad_frames[i].hex, &b);
		if (decode_buf(&b) != -EPROTO)
			fail_msg("%s was taken", bad_frames[i].what);
	}
}

static void a_list_of_too_many_is_refused_by_both_sides(void **state)
{
	char **many = calloc(PROTO_STRS_MAX + 1, sizeof(*many));
	struct proto_msg m = {.type = PROTO_EXEC};
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	assert_non_null(many);
	m.exec.argv = (struct proto_strs){many, PROTO_STRS_MAX + 1};
	assert_int_equal(proto_encode(&b, &m), -E2BIG);
	assert_int_equal(b.len, 0);
	m.exec.argv.n = PROTO_STRS_MAX;
	assert_int_equal(proto_encode(&b, &m), 0);
	assert_int_equal(decode_buf(&b), b.len);
	put_le32(b.data + PROTO_HEADER_LEN, PROTO_STRS_MAX + 1);
	assert_int_equal(decode_buf(&b), -EPROTO);
	free(many);
}

static void a_frame_that_is_too_large_is_not_sent(void **state)
{
	struct buf cleanup_buf b = BUF_INIT, data = BUF_INIT;
	struct proto_msg m = {.type = PROTO_STDOUT};

	(void)state;
	assert_int_equal(buf_addz(&data, PROTO_FRAME_MAX), 0);
	assert_int_equal(buf_adds(&b, "before"), 0);
	m.stdout_data.data = (struct proto_bytes){data.data, PROTO_FRAME_MAX};
	assert_int_equal(proto_encode(&b, &m), -E2BIG);
	assert_int_equal(b.len, 6);
	m.stdout_data.data.n = PROTO_FRAME_MAX - 4;
	assert_int_equal(proto_encode(&b, &m), 0);
	assert_int_equal(b.len, 6 + PROTO_HEADER_LEN + PROTO_FRAME_MAX);
}

static void a_type_that_does_not_exist_is_not_sent(void **state)
{
	struct proto_msg m = {.type = (enum proto_type)9};
	struct buf cleanup_buf b = BUF_INIT;

	(void)state;
	assert_int_equal(proto_encode(&b, &m), -EINVAL);
	assert_int_equal(b.len, 0);
	assert_string_equal(proto_type_name(9), "?");
	assert_string_equal(proto_type_name(PROTO_EXEC), "EXEC");
}

static void frames_behind_each_other_are_taken_one_by_one(void **state)
{
	struct buf cleanup_buf all = BUF_INIT, one = BUF_INIT;
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		from_hex(golden[i].hex, &one);
		assert_int_equal(buf_add(&all, one.data, one.len), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		struct proto_msg cleanup_proto msg = {0};
		ssize_t n = proto_decode(all.data + at, all.len - at, &msg);

		assert_true(n > 0);
		assert_int_equal(msg.type, golden[i].type);
		at += (size_t)n;
	}
	assert_int_equal(at, all.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_has_its_golden_bytes),
		cmocka_unit_test(golden_bytes_decode_to_what_was_encoded),
		cmocka_unit_test(every_beginning_of_a_frame_asks_for_more),
		cmocka_unit_test(a_payload_one_byte_short_or_long_is_refused),
		cmocka_unit_test(any_changed_byte_does_no_harm),
		cmocka_unit_test(frames_that_break_the_rules_are_refused),
		cmocka_unit_test(a_list_of_too_many_is_refused_by_both_sides),
		cmocka_unit_test(a_frame_that_is_too_large_is_not_sent),
		cmocka_unit_test(a_type_that_does_not_exist_is_not_sent),
		cmocka_unit_test(frames_behind_each_other_are_taken_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
