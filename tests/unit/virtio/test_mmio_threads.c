/* What needs more than one thread to go wrong: resets, storms, races. */
#include "lib/test.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "mmio_guest.h"
#include "virtio/rng.h"
#include "vmm/disk_dev.h"

#define SECTOR 512u
#define STORM  20000u

static struct mmio_guest g, other;
static struct probe p;

static int setup(void **state)
{
	(void)state;
	guest_attach(&g, probe_new(&p), NULL);
	p.loop = g.loop;
	guest_run(&g);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_false(p.wrong_thread);
	guest_close(&g);
	return 0;
}

static struct virtio_dev *new_rng(void)
{
	struct virtio_dev *dev;

	assert_int_equal(rng_new(&dev, NULL), 0);
	return dev;
}

static void nap(void)
{
	const struct timespec ts = {0, 30 * (long)NS_PER_MS};

	(void)nanosleep(&ts, NULL);
}

static void await_sem(sem_t *s)
{
	while (sem_wait(s) < 0)
		;
}

/* One register access in a vCPU's thread. */
struct access {
	struct mmio_guest *g;
	pthread_t thread;
	uint32_t off, v;
	bool write;
	atomic_bool done;
};

static void *do_access(void *arg)
{
	struct access *a = arg;

	if (a->write)
		reg_write(a->g, a->off, a->v);
	else
		a->v = reg_read(a->g, a->off);
	atomic_store(&a->done, true);
	return NULL;
}

static void begin(struct access *a)
{
	assert_int_equal(pthread_create(&a->thread, NULL, do_access, a), 0);
}

static void finish(struct access *a)
{
	assert_int_equal(pthread_join(a->thread, NULL), 0);
	assert_true(a->done);
}

/* ---- reset ------------------------------------------------------------- */

/* The guest hears of the end of a reset when the old life has ended. */
static void reset_waits_for_the_request_in_hand(void **state)
{
	struct access reset = {.g = &g, .off = R_STATUS, .write = true};
	struct access look = {.g = &g, .off = R_STATUS};

	(void)state;
	guest_start(&g, F_VERSION_1);
	p.block = p.interrupts = true;
	reg_write(&g, R_NOTIFY, 0);
	await_sem(&p.entered);
	begin(&reset);
	nap();
	begin(&look);
	nap();
	assert_false(reset.done); /* and nobody sees a device half reset */
	assert_false(look.done);
	p.block = false;
	sem_post(&p.go);
	finish(&reset);
	finish(&look);
	assert_false(p.in_notify);
	assert_int_equal(p.resets, 1);
	assert_int_equal(look.v, 0);
	assert_int_equal(reg_read(&g, R_INTERRUPTS), 0);
	(void)guest_interrupts(&g); /* raised before the reset was over */
	nap();
	assert_int_equal(guest_interrupts(&g), 0);
	assert_int_equal(p.notified, 3);
}

/* Kicks that were on their way do not reach the next life as requests. */
static void old_turns_and_kicks_end_with_a_reset(void **state)
{
	unsigned before;

	(void)state;
	p.greedy = true;
	for (unsigned i = 0; i < 50; i++) {
		guest_start(&g, F_VERSION_1);
		reg_write(&g, R_NOTIFY, 0);
		reg_write(&g, R_NOTIFY, 1);
		reg_write(&g, R_STATUS, 0);
		before = p.notified;
		assert_false(p.dev.vqs[0].ready || p.dev.vqs[1].ready);
		guest_barrier(&g);
		assert_int_equal(p.notified, before);
	}
	assert_int_equal(p.activated, 50);
	assert_int_equal(p.resets, 50);
}

static void assert_all(const uint8_t *at, size_t len, uint8_t v)
{
	assert_int_equal(at[0], v);
	assert_memory_equal(at, at + 1, len - 1);
}

/* Read @len bytes of the disk into the second region. */
static void ask_for_all(struct mmio_guest *o, uint32_t len)
{
	const struct fake_buf b[] = {
		{fake_alloc(&o->ram, 16), 16,   false},
		{FAKE_HIGH,          len, true},
		{fake_alloc(&o->ram,                1),   1, true     },
	};

	fake_chain(&o->ram, 0, b, 3);
}

/*
 * A real disk that is reset at any moment: the memory that the old rings and
 * buffers were in is the guest's again, so nothing may be written there.
 */
static void memory_is_the_guests_again_after_a_reset(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	const struct disk_extent e = {fd, 0, 2048 * SECTOR};
	const struct disk_dev_config cfg = {&e, 1, false, "disk", NULL, 0};
	const size_t len = FAKE_END - FAKE_HIGH;
	struct virtio_dev *dev;
	uint8_t *data;

	(void)state;
	assert_int_equal(ftruncate(fd, 2048 * SECTOR), 0);
	assert_int_equal(disk_dev_new(&cfg, &dev, NULL), 0);
	guest_open(&other, dev);
	data = fake_at(&other.ram, FAKE_HIGH);
	for (unsigned i = 0; i < 200; i++) {
		guest_setup(&other, F_VERSION_1);
		guest_queue(&other, 0, &other.ram.q[0].at);
		for (unsigned n = 0; n < 5; n++)
			ask_for_all(&other, len);
		reg_write(&other, R_STATUS, S_DRIVER_OK);
		for (volatile unsigned n = 0; n < i * 500; n++)
			;
		guest_reset(&other);
		memset(data, 0xa5, len);
		guest_barrier(&other);
		assert_all(data, len, 0xa5);
		assert_all(other.ram.low, FAKE_HIGH - FAKE_LOW, 0);
		assert_int_equal(reg_read(&other, R_INTERRUPTS), 0);
		assert_int_equal(guest_interrupts(&other), 0);
	}
	guest_close(&other);
	close(fd);
}

/* ---- who waits for whom ------------------------------------------------ */

/* Pause: the loop's thread waits for a vCPU that waits for the loop. */
static void settle_does_what_a_vcpu_waits_for(void **state)
{
	struct access reset = {.g = &other, .off = R_STATUS, .write = true};
	static struct probe q;

	(void)state;
	guest_attach(&other, probe_new(&q), NULL);
	mmio_settle(other.mmio); /* nothing to do */
	guest_setup(&other, F_VERSION_1);
	reset.v = S_DRIVER_OK;
	begin(&reset);
	while (!reset.done)
		mmio_settle(other.mmio);
	finish(&reset);
	assert_int_equal(q.activated, 1);
	reset.v = 0;
	reset.done = false;
	begin(&reset);
	while (!reset.done)
		mmio_settle(other.mmio);
	finish(&reset);
	assert_int_equal(q.resets, 1);
	guest_close(&other);
}

static void drive(void *arg)
{
	const uint8_t v[4] = {9};

	(void)arg;
	guest_setup(&g, F_VERSION_1);
	guest_queue(&g, 0, &g.ram.q[0].at);
	reg_write(&g, R_STATUS, S_DRIVER_OK);
	assert_int_equal(p.activated, 1);
	mmio_write(g.mmio, R_CONFIG, v, 4);
	assert_int_equal(p.writes, 1);
	reg_write(&g, R_STATUS, 0);
	assert_int_equal(p.resets, 1);
}

static void the_loops_own_thread_needs_not_wait(void **state)
{
	(void)state;
	assert_int_equal(loop_post(g.loop, drive, NULL), 0);
	guest_barrier(&g);
	assert_int_equal(p.resets, 1);
}

/* ---- storms ------------------------------------------------------------ */

static void *storm(void *arg)
{
	const uint64_t one = 1;

	for (unsigned i = 0; i < STORM; i++) {
		reg_write(arg, R_NOTIFY, i % 4); /* half of them nobody's */
		assert_int_equal(write(mmio_notify_fd(g.mmio, i % 2), &one, 8),
		                 8);
	}
	return NULL;
}

/* Two devices on one loop: the probe, and an rng to be served meanwhile. */
static int setup_two(void **state)
{
	(void)state;
	guest_attach(&g, probe_new(&p), NULL);
	p.loop = g.loop;
	guest_attach(&other, new_rng(), g.loop);
	guest_run(&g);
	guest_start(&other, F_VERSION_1);
	guest_start(&g, F_VERSION_1);
	return 0;
}

static int teardown_two(void **state)
{
	guest_stop(&g);
	guest_close(&other);
	return teardown(state);
}

static void serve_other(unsigned times)
{
	const struct fake_buf b[] = {
		{FAKE_HIGH, 64, true}
        };

	for (unsigned i = 0; i < times; i++)
		assert_int_equal(guest_request(&other, 0, b, 1), 64);
}

static void assert_loop_sleeps(void)
{
	unsigned before;

	guest_barrier(&g);
	before = p.notified;
	nap();
	assert_int_equal(p.notified, before);
}

static void a_notify_storm_costs_a_turn_a_kick_at_most(void **state)
{
	pthread_t t[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, storm, &g), 0);
	serve_other(500);
	for (int i = 0; i < 2; i++)
		(void)pthread_join(t[i], NULL);
	guest_barrier(&g);
	assert_in_range(p.notified, 3, 2 + 2 * STORM * 3 / 2);
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER_OK);
	assert_loop_sleeps();
}

/* A queue that is never empty. */
static void a_greedy_device_leaves_others_their_turns(void **state)
{
	(void)state;
	p.greedy = true;
	reg_write(&g, R_NOTIFY, 0);
	serve_other(500);
	assert_true(p.notified > 500);
	p.greedy = false;
	assert_loop_sleeps();
}

static void break_probe(void *arg)
{
	virtio_broken(arg, "test");
}

static void a_stopped_device_does_not_even_wake_the_loop(void **state)
{
	const unsigned before = p.notified;
	uint64_t kicks;

	(void)state;
	p.greedy = true;
	assert_int_equal(loop_post(g.loop, break_probe, &p.dev), 0);
	guest_await(&g);
	storm(&g);
	serve_other(10);
	assert_int_equal(p.notified, before);
	assert_int_equal(read(mmio_notify_fd(g.mmio, 0), &kicks, 8), 8);
	assert_int_equal(kicks, STORM * 3 / 4); /* nobody took them */
	assert_int_equal(reg_read(&g, R_STATUS), S_DRIVER_OK | S_NEEDS_RESET);
}

/* ---- races ------------------------------------------------------------- */

static atomic_bool racing;

/* All bytes are the same in any one generation. */
static void change_config(void *arg)
{
	struct probe *probe = arg;

	memset(probe->config, probe->config[0] + 1, PROBE_CONFIG);
	virtio_config_changed(&probe->dev);
	if (atomic_load(&racing))
		assert_int_equal(loop_post(probe->loop, change_config, probe),
		                 0);
}

static void a_config_read_in_one_generation_is_whole(void **state)
{
	const uint64_t end = clock_now_ns() + 10 * NS_PER_S;
	uint32_t before = 0, a, b;
	unsigned whole = 0;

	(void)state;
	assert_int_equal(loop_post(g.loop, change_config, &p), 0);
	guest_barrier(&g);
	atomic_store(&racing, true);
	assert_int_equal(loop_post(g.loop, change_config, &p), 0);
	while ((whole < 500 || before < 100) && clock_now_ns() < end) {
		before = reg_read(&g, R_GENERATION);
		a = reg_read(&g, R_CONFIG);
		b = reg_read(&g, R_CONFIG + 8);

		if (before != reg_read(&g, R_GENERATION))
			continue;
		assert_int_equal(a, b);
		whole++;
	}
	atomic_store(&racing, false);
	assert_true(whole >= 500 && before >= 100);
}

struct hammer {
	pthread_t thread;
	uint32_t seed;
};

static uint32_t any(struct hammer *h)
{
	h->seed = h->seed * 1664525u + 1013904223u;
	return h->seed >> 8;
}

/* Mostly the steps of a driver, in any order and by all at once. */
static void *hammer(void *arg)
{
	static const uint32_t status[] = {0, 0, 1, 3, 11, 11, 15, 15, 0x8f};
	static const uint32_t width[] = {1, 2, 4, 4, 4, 4, 8};
	struct hammer *h = arg;

	while (atomic_load(&racing)) {
		struct mmio_guest *to = any(h) % 2 ? &g : &other;
		uint8_t v[8];

		put_le64(v, any(h));
		switch (any(h) % 8) {
		case 0:
			mmio_write(to->mmio, any(h) % 0x110, v,
			           width[any(h) % 7]);
			break;
		case 1:
			guest_queue(to, any(h) % 3, &to->ram.q[any(h) % 3].at);
			break;
		case 2:
			guest_features(to, F_VERSION_1);
			break;
		case 3:
			reg_write(to, R_NOTIFY, any(h) % 3);
			break;
		case 4:
			mmio_read(to->mmio, any(h) % 0x110, v,
			          width[any(h) % 7]);
			break;
		default:
			reg_write(to, R_STATUS, status[any(h) % 9]);
		}
	}
	return NULL;
}

static void vcpus_at_once_leave_a_device_that_works(void **state)
{
	struct hammer h[4];

	(void)state;
	atomic_store(&racing, true);
	for (uint32_t i = 0; i < 4; i++) {
		h[i].seed = i * 77;
		assert_int_equal(
			pthread_create(&h[i].thread, NULL, hammer, &h[i]), 0);
	}
	for (int i = 0; i < 300 && (i < 10 || p.activated < 50); i++)
		nap();
	atomic_store(&racing, false);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(h[i].thread, NULL);
	assert_true(p.activated >= 50 && p.resets >= 49);
	for (int i = 0; i < 2; i++)
		reg_write(i ? &g : &other, R_FEATURES_SEL, 0);
	guest_reset(&other);
	guest_start(&other, F_VERSION_1);
	serve_other(10);
}

#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T2(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown_two)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reset_waits_for_the_request_in_hand),
		T(old_turns_and_kicks_end_with_a_reset),
		T(memory_is_the_guests_again_after_a_reset),
		T(settle_does_what_a_vcpu_waits_for),
		T(the_loops_own_thread_needs_not_wait),
		T2(a_notify_storm_costs_a_turn_a_kick_at_most),
		T2(a_greedy_device_leaves_others_their_turns),
		T2(a_stopped_device_does_not_even_wake_the_loop),
		T2(a_config_read_in_one_generation_is_whole),
		T2(vcpus_at_once_leave_a_device_that_works),
	};

	return cmocka_run_group_tests_name("virtio/mmio_threads", tests, NULL,
	                                   NULL);
}
