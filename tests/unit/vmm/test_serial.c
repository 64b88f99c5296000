#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/test.h"
#include "vmm/kvm/serial.h"

struct fixture {
	struct serial s;
	int out, irq;
};

static int setup(void **state)
{
	static struct fixture f;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	f.out = pair[0];
	f.irq = eventfd(0, EFD_NONBLOCK);
	serial_init(&f.s, pair[1], f.irq);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close(f->s.out_fd);
	(void)close(f->out);
	(void)close(f->irq);
	return 0;
}

static void print(struct serial *s, const char *text)
{
	for (; *text; text++)
		serial_write(s, 0, (uint8_t)*text);
}

static const char *heard(struct fixture *f)
{
	static char text[4096];
	ssize_t n = read(f->out, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void a_line_goes_out_at_its_end(void **state)
{
	struct fixture *f = *state;

	print(&f->s, "hello");
	assert_string_equal(heard(f), "");
	print(&f->s, "\n");
	assert_string_equal(heard(f), "hello\n");
}

static void a_line_without_end_goes_out_by_flush_or_when_long(void **state)
{
	struct fixture *f = *state;

	print(&f->s, "login: ");
	serial_flush(&f->s);
	assert_string_equal(heard(f), "login: ");
	for (unsigned i = 0; i < sizeof(f->s.line); i++)
		print(&f->s, "x");
	assert_int_equal(strlen(heard(f)), sizeof(f->s.line));
}

static void a_flood_is_dropped_and_does_not_wait(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 200000; i++)
		print(&f->s, "flood\n");
	assert_true(strlen(heard(f)) > 0);
}

static void the_registers_answer_like_a_16550a(void **state)
{
	struct serial *s = &((struct fixture *)*state)->s;

	assert_int_equal(serial_read(s, 5), 0x60);
	assert_int_equal(serial_read(s, 6), 0xb0);
	assert_int_equal(serial_read(s, 2), 0x01);
	serial_write(s, 2, 1);
	assert_int_equal(serial_read(s, 2), 0xc1); /* FIFOs: no 16450 */
	serial_write(s, 7, 0x5a);
	assert_int_equal(serial_read(s, 7), 0x5a);
	serial_write(s, 5, 0);
	serial_write(s, 6, 0);
	assert_int_equal(serial_read(s, 5), 0x60);
	assert_int_equal(serial_read(s, 8), 0xff);
}

/* What Linux checks before it believes in the port. */
static void loopback_shows_outputs_as_inputs(void **state)
{
	struct fixture *f = *state;

	serial_write(&f->s, 4, 0x1a);
	assert_int_equal(serial_read(&f->s, 6) & 0xf0, 0x90);
	print(&f->s, "not said\n");
	assert_string_equal(heard(f), "");
	serial_write(&f->s, 4, 0x0b);
	assert_int_equal(serial_read(&f->s, 6), 0xb0);
}

static void the_divisor_is_apart_from_data(void **state)
{
	struct fixture *f = *state;

	serial_write(&f->s, 3, 0x83);
	serial_write(&f->s, 0, 0x41);
	serial_write(&f->s, 1, 0x02);
	assert_int_equal(serial_read(&f->s, 0), 0x41);
	assert_int_equal(serial_read(&f->s, 1), 0x02);
	serial_write(&f->s, 3, 0x03);
	assert_int_equal(serial_read(&f->s, 1), 0);
	serial_flush(&f->s);
	assert_string_equal(heard(f), "");
}

static uint64_t interrupts(struct fixture *f)
{
	uint64_t n = 0;

	return read(f->irq, &n, sizeof(n)) < 0 ? 0 : n;
}

static void an_empty_transmitter_interrupts_when_asked(void **state)
{
	struct fixture *f = *state;

	print(&f->s, "a");
	assert_int_equal(interrupts(f), 0);
	serial_write(&f->s, 1, 2);
	assert_int_equal(interrupts(f), 1);
	assert_int_equal(serial_read(&f->s, 2) & 0x0f, 2);
	assert_int_equal(serial_read(&f->s, 2) & 0x0f, 1);
	print(&f->s, "b");
	assert_int_equal(interrupts(f), 1);
	serial_write(&f->s, 1, 0);
	print(&f->s, "c");
	assert_int_equal(interrupts(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_goes_out_at_its_end),
		TEST(a_line_without_end_goes_out_by_flush_or_when_long),
		TEST(a_flood_is_dropped_and_does_not_wait),
		TEST(the_registers_answer_like_a_16550a),
		TEST(loopback_shows_outputs_as_inputs),
		TEST(the_divisor_is_apart_from_data),
		TEST(an_empty_transmitter_interrupts_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
