#include "lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/fake_guest.h"
#include "virtio/rng.h"
#include "virtio/vhost_user.h"
#include "virtio/vsock.h"

#define USER  0x7f0000000000ULL /* the front end's addresses of its memory */
#define GPA   0x100000ULL
#define RAM   (1u << 20)
#define SIZE  8u
#define DESC  0x1000u
#define AVAIL 0x2000u
#define USED  0x3000u
#define DATA  0x4000u

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL = 15,
	SET_PROTOCOL = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
	SET_CONFIG = 25,
	RESET_DEVICE = 34,
};

#define F_PROTOCOL (1ULL << 30)
#define ALL        (F_VERSION_1 | F_INDIRECT | F_EVENT_IDX | F_PROTOCOL)

static struct loop *loop;
static struct virtio_dev *dev;
static struct vhost_user *vu;
static int sock, memfd, kick, call, error_fd;
static uint8_t *ram;
static unsigned closed;
static const char *closed_why;
static uint16_t avail_idx;

static void on_closed(void *arg, const char *why)
{
	(void)arg;
	closed++;
	closed_why = why;
}

static int make_memfd(size_t len, int seals)
{
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void connect_to(struct virtio_dev *d)
{
	int sp[2];

	dev = d;
	closed = 0;
	closed_why = NULL;
	avail_idx = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp),
	                 0);
	sock = sp[0];
	assert_int_equal(
		vhost_user_new(loop, sp[1], d, on_closed, NULL, &vu, NULL), 0);
	memfd = make_memfd(RAM, F_SEAL_SHRINK);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	assert_true(ram != MAP_FAILED);
	kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	error_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static int setup(void **state)
{
	struct virtio_dev *d;

	(void)state;
	loop = loop_new();
	assert_int_equal(rng_new(&d, NULL), 0);
	connect_to(d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vhost_user_free(vu);
	virtio_free(dev);
	loop_free(loop);
	close(sock);
	close(memfd);
	close(kick);
	close(call);
	close(error_fd);
	munmap(ram, RAM);
	return 0;
}

static void step(void)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_step(loop, 0), 0);
}

static void send_raw(uint32_t request, uint32_t flags, const void *payload,
                     uint32_t len, const int *fds, size_t nfds)
{
	uint8_t out[1024];

	put_le32(out, request);
	put_le32(out + 4, flags);
	put_le32(out + 8, len);
	if (len)
		memcpy(out + 12, payload, len);
	assert_int_equal(fd_send(sock, out, 12 + len, fds, nfds), 12 + len);
	step();
}

static void send_msg(uint32_t request, const void *payload, uint32_t len,
                     int fd)
{
	send_raw(request, 1, payload, len, &fd, fd >= 0 ? 1 : 0);
}

static void send_u64(uint32_t request, uint64_t v, int fd)
{
	uint8_t p[8];

	put_le64(p, v);
	send_msg(request, p, 8, fd);
}

static void send_state(uint32_t request, uint32_t index, uint32_t num)
{
	send_u64(request, index | (uint64_t)num << 32, -1);
}

/* The payload of the reply that must be there; its length. */
static uint32_t reply(uint32_t request, uint8_t *payload)
{
	uint8_t in[1024];
	ssize_t n = recv(sock, in, sizeof(in), MSG_DONTWAIT);

	assert_true(n >= 12);
	assert_int_equal(get_le32(in), request);
	assert_int_equal(get_le32(in + 4), 5);
	assert_int_equal(get_le32(in + 8), n - 12);
	memcpy(payload, in + 12, (size_t)n - 12);
	return (uint32_t)n - 12;
}

static uint64_t reply_u64(uint32_t request)
{
	uint8_t p[1024];

	assert_int_equal(reply(request, p), 8);
	return get_le64(p);
}

static void no_reply(void)
{
	char c;

	assert_int_equal(recv(sock, &c, 1, MSG_DONTWAIT), -1);
}

static void region(uint8_t *p, uint64_t gpa, uint64_t len, uint64_t user,
                   uint64_t offset)
{
	put_le64(p, gpa);
	put_le64(p + 8, len);
	put_le64(p + 16, user);
	put_le64(p + 24, offset);
}

static void send_table(int fd)
{
	uint8_t p[40] = {1};

	region(p + 8, GPA, RAM, USER, 0);
	send_msg(SET_MEM_TABLE, p, sizeof(p), fd);
}

static void send_addr(uint32_t index, uint64_t desc, uint64_t used,
                      uint64_t avail)
{
	uint8_t p[40];

	put_le32(p, index);
	put_le32(p + 4, 0);
	put_le64(p + 8, desc);
	put_le64(p + 16, used);
	put_le64(p + 24, avail);
	put_le64(p + 32, 0);
	send_msg(SET_VRING_ADDR, p, sizeof(p), -1);
}

/* As QEMU does at DRIVER_OK, ring 0 only. */
static void start_ring(void)
{
	send_u64(SET_FEATURES, ALL & ~F_EVENT_IDX, -1);
	send_table(memfd);
	send_state(SET_VRING_NUM, 0, SIZE);
	send_state(SET_VRING_BASE, 0, 0);
	send_addr(0, USER + DESC, USER + USED, USER + AVAIL);
	send_u64(SET_VRING_KICK, 0, kick);
	send_u64(SET_VRING_CALL, 0, call);
	send_u64(SET_VRING_ERR, 0, error_fd);
	send_state(SET_VRING_ENABLE, 0, 1);
	assert_int_equal(closed, 0);
}

static void add_request(uint64_t addr, uint32_t len)
{
	uint8_t *d = ram + DESC;

	put_le64(d, addr);
	put_le32(d + 8, len);
	put_le16(d + 12, D_WRITE);
	put_le16(ram + AVAIL + 4 + 2 * (avail_idx % SIZE), 0);
	put_le16(ram + AVAIL + 2, ++avail_idx);
}

static void kick_it(void)
{
	uint64_t one = 1;

	assert_int_equal(write(kick, &one, 8), 8);
	step();
}

static uint16_t used_idx(void)
{
	return get_le16(ram + USED + 2);
}

static bool fired(int fd)
{
	uint64_t v;

	return read(fd, &v, 8) == 8;
}

static int fds_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void it_negotiates(void **state)
{
	(void)state;
	send_msg(GET_FEATURES, NULL, 0, -1);
	assert_true(reply_u64(GET_FEATURES) == ALL);
	send_msg(GET_PROTOCOL, NULL, 0, -1);
	assert_true(reply_u64(GET_PROTOCOL) == (1 | 1 << 3 | 1 << 13));
	send_u64(SET_PROTOCOL, 1 << 3, -1);
	send_msg(GET_QUEUE_NUM, NULL, 0, -1);
	assert_int_equal(reply_u64(GET_QUEUE_NUM), 1);
	send_msg(SET_OWNER, NULL, 0, -1);
	no_reply();
	assert_int_equal(closed, 0);
}

static void a_ring_runs_from_start_to_stop(void **state)
{
	uint8_t p[16];

	(void)state;
	start_ring();
	assert_true(dev->active);
	add_request(GPA + DATA, 32);
	kick_it();
	assert_int_equal(used_idx(), 1);
	assert_int_equal(get_le32(ram + USED + 8), 32);
	assert_true(fired(call));
	assert_false(fired(call));
	send_state(GET_VRING_BASE, 0, 0);
	assert_int_equal(reply(GET_VRING_BASE, p), 8);
	assert_int_equal(get_le32(p + 4), 1);
	assert_false(dev->active);
	/* the old kick does nothing any more */
	add_request(GPA + DATA, 32);
	kick_it();
	assert_int_equal(used_idx(), 1);
	/* and it can be started again where it was */
	send_state(SET_VRING_BASE, 0, 1);
	send_u64(SET_VRING_KICK, 0, kick);
	step();
	assert_int_equal(used_idx(), 2);
}

static void requests_made_before_the_start_are_served(void **state)
{
	(void)state;
	add_request(GPA + DATA, 32);
	start_ring();
	step();
	assert_int_equal(used_idx(), 1);
}

static void without_protocol_features_rings_start_enabled(void **state)
{
	(void)state;
	send_u64(SET_FEATURES, F_VERSION_1, -1);
	send_table(memfd);
	send_state(SET_VRING_NUM, 0, SIZE);
	send_addr(0, USER + DESC, USER + USED, USER + AVAIL);
	assert_false(dev->active);
	send_u64(SET_VRING_KICK, 0, kick);
	assert_true(dev->active);
}

static void disabled_rings_rest(void **state)
{
	(void)state;
	start_ring();
	send_state(SET_VRING_ENABLE, 0, 0);
	add_request(GPA + DATA, 8);
	kick_it();
	assert_int_equal(used_idx(), 0);
	send_state(SET_VRING_ENABLE, 0, 1);
	step();
	assert_int_equal(used_idx(), 1);
}

static void memory_may_change_while_rings_run(void **state)
{
	int other = make_memfd(RAM, F_SEAL_SHRINK);

	(void)state;
	start_ring();
	add_request(GPA + DATA, 8);
	kick_it();
	munmap(ram, RAM);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	avail_idx = 1;
	add_request(GPA + DATA, 8);
	put_le16(ram + USED + 2, 1);
	send_table(other);
	kick_it();
	assert_int_equal(used_idx(), 2);
	assert_int_equal(closed, 0);
	close(other);
}

static void rings_that_the_guest_broke_stop_the_device_only(void **state)
{
	uint8_t p[16];

	(void)state;
	start_ring();
	add_request(GPA + RAM, 8);
	kick_it();
	assert_true(fired(error_fd));
	assert_int_equal(used_idx(), 0);
	kick_it();
	assert_false(fired(error_fd));
	assert_int_equal(closed, 0);
	/* the driver resets the device: all is well again */
	send_state(GET_VRING_BASE, 0, 0);
	reply(GET_VRING_BASE, p);
	memset(ram, 0, RAM);
	avail_idx = 0;
	start_ring();
	add_request(GPA + DATA, 8);
	kick_it();
	assert_int_equal(used_idx(), 1);
}

static void bad_ring_places_stop_the_device_only(void **state)
{
	const struct {
		uint32_t size;
		uint64_t desc, used, avail;
	} bad[] = {
		{0,    DESC,          USED,     AVAIL    },
		{3,    DESC,          USED,     AVAIL    },
		{2048, DESC,          USED,     AVAIL    },
		{SIZE, DESC + 8,      USED,     AVAIL    },
		{SIZE, DESC,          USED + 2, AVAIL    },
		{SIZE, DESC,          USED,     AVAIL + 1},
		{SIZE, RAM - 16,      USED,     AVAIL    },
		{SIZE, DESC,          RAM - 16, AVAIL    },
		{SIZE, DESC,          USED,     RAM - 4  },
		{SIZE, (uint64_t)-16, USED,     AVAIL    },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t p[16];

		send_u64(SET_FEATURES, ALL, -1);
		send_table(memfd);
		send_state(SET_VRING_NUM, 0, bad[i].size);
		send_addr(0, USER + bad[i].desc, USER + bad[i].used,
		          USER + bad[i].avail);
		send_u64(SET_VRING_ERR, 0, error_fd);
		send_u64(SET_VRING_KICK, 0, kick);
		send_state(SET_VRING_ENABLE, 0, 1);
		assert_true(dev->broken);
		assert_true(fired(error_fd));
		assert_int_equal(closed, 0);
		send_state(GET_VRING_BASE, 0, 0);
		reply(GET_VRING_BASE, p);
		assert_false(dev->broken);
	}
}

/* Each of these ends the connection, once, and leaves no descriptor. */
static void expect_closed(void)
{
	char c;

	step();
	assert_int_equal(closed, 1);
	assert_non_null(closed_why);
	assert_false(dev->active);
	errno = 0;
	assert_true(recv(sock, &c, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
}

static void again(void)
{
	struct virtio_dev *d = dev;

	vhost_user_free(vu);
	close(sock);
	close(memfd);
	close(kick);
	close(call);
	close(error_fd);
	munmap(ram, RAM);
	connect_to(d);
}

static void wrong_sizes_close(void **state)
{
	const struct {
		uint32_t request, len;
	} bad[] = {
		{GET_FEATURES,   8  },
		{SET_FEATURES,   0  },
		{SET_FEATURES,   7  },
		{SET_FEATURES,   16 },
		{SET_MEM_TABLE,  0  },
		{SET_MEM_TABLE,  8  },
		{SET_MEM_TABLE,  264},
		{SET_VRING_NUM,  4  },
		{SET_VRING_ADDR, 39 },
		{SET_VRING_ADDR, 48 },
		{GET_CONFIG,     0  },
		{GET_CONFIG,     11 },
		{SET_CONFIG,     11 },
		{GET_VRING_BASE, 0  },
		{SET_VRING_KICK, 4  },
		{0,              0  },
		{6,              8  },
		{26,             0  },
		{40,             0  },
		{UINT32_MAX,     0  },
		{SET_FEATURES,   300},
	};
	static const uint8_t zeros[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		send_raw(bad[i].request, 1, zeros, bad[i].len, NULL, 0);
		expect_closed();
		again();
	}
}

static void wrong_flags_and_huge_lengths_close(void **state)
{
	const uint32_t flags[] = {0, 2, 3, 5};
	uint8_t head[12] = {GET_FEATURES, 0, 0, 0, 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		send_raw(GET_FEATURES, flags[i], NULL, 0, NULL, 0);
		expect_closed();
		again();
	}
	put_le32(head + 8, UINT32_MAX);
	assert_int_equal(write(sock, head, 12), 12);
	expect_closed();
}

static void unoffered_features_close(void **state)
{
	(void)state;
	send_u64(SET_FEATURES, ALL | 1ULL << 26, -1);
	expect_closed();
	again();
	send_u64(SET_PROTOCOL, 1ULL << 12, -1);
	expect_closed();
	again();
	start_ring();
	send_u64(SET_FEATURES, F_VERSION_1 | F_PROTOCOL, -1); /* in use */
	expect_closed();
}

static void running_rings_are_frozen(void **state)
{
	(void)state;
	start_ring();
	send_state(SET_VRING_NUM, 0, 4);
	expect_closed();
	again();
	start_ring();
	send_state(SET_VRING_BASE, 0, 4);
	expect_closed();
	again();
	start_ring();
	send_addr(0, USER, USER, USER);
	expect_closed();
}

static void rings_that_do_not_exist_close(void **state)
{
	const uint32_t req[] = {SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE,
	                        SET_VRING_ENABLE};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(req); i++) {
		send_u64(SET_FEATURES, ALL, -1);
		send_state(req[i], i % 2 ? 1 : UINT32_MAX, 1);
		expect_closed();
		again();
	}
	send_u64(SET_VRING_KICK, 1, kick);
	expect_closed();
	again();
	send_addr(77, USER, USER, USER);
	expect_closed();
}

static void descriptors_must_be_as_announced(void **state)
{
	const int two[2] = {kick, kick};
	int before;
	uint8_t zero[8] = {0};

	(void)state;
	before = fds_open();
	send_u64(SET_VRING_KICK, 0, -1); /* none */
	expect_closed();
	again();
	send_u64(SET_VRING_KICK, 0x100, -1); /* polled */
	expect_closed();
	again();
	send_u64(SET_VRING_CALL, 0x100, call); /* one too many */
	expect_closed();
	again();
	send_raw(SET_VRING_CALL, 1, zero, 8, two, 2);
	expect_closed();
	again();
	send_msg(GET_FEATURES, NULL, 0, kick); /* unasked */
	expect_closed();
	again();
	send_u64(SET_VRING_CALL, 0x200, call);
	expect_closed();
	again();
	assert_int_equal(fds_open(), before);
}

static void a_kick_that_is_no_eventfd_closes(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	close(kick);
	kick = p[0];
	start_ring();
	close(p[1]);
	expect_closed();
	again();
	close(kick);
	kick = dup(memfd); /* epoll takes no plain files */
	send_u64(SET_FEATURES, ALL, -1);
	send_table(memfd);
	send_state(SET_VRING_NUM, 0, SIZE);
	send_addr(0, USER + DESC, USER + USED, USER + AVAIL);
	send_state(SET_VRING_ENABLE, 0, 1);
	send_u64(SET_VRING_KICK, 0, kick);
	expect_closed();
}

static void bad_memory_tables_are_refused(void **state)
{
	int loose = make_memfd(RAM, F_SEAL_GROW);
	uint8_t p[8 + 8 * 32] = {0};
	int fds[8];

	(void)state;
	send_table(loose); /* could shrink under us */
	expect_closed();
	again();
	close(loose);
	put_le32(p, 2); /* the second overlaps the first */
	region(p + 8, GPA, RAM, USER, 0);
	region(p + 40, GPA + RAM - 4096, RAM, USER + RAM, 0);
	fds[0] = fds[1] = memfd;
	send_raw(SET_MEM_TABLE, 1, p, 72, fds, 2);
	expect_closed();
	again();
	put_le32(p, 2); /* one descriptor is missing */
	fds[0] = memfd;
	send_raw(SET_MEM_TABLE, 1, p, 72, fds, 1);
	expect_closed();
	again();
	put_le32(p, 9);
	send_raw(SET_MEM_TABLE, 1, p, 8 + 8 * 32, fds, 1);
	expect_closed();
	again();
	put_le32(p, 0);
	send_raw(SET_MEM_TABLE, 1, p, 8, NULL, 0);
	expect_closed();
	again();
	put_le32(p, 1);
	region(p + 8, GPA, RAM, USER, ~0xfffULL);
	send_raw(SET_MEM_TABLE, 1, p, 40, fds, 1);
	expect_closed();
	again();
	region(p + 8, GPA, RAM + 4096, USER, 0);
	send_raw(SET_MEM_TABLE, 1, p, 40, &memfd, 1);
	expect_closed();
}

static void failures_are_told_when_an_answer_is_wanted(void **state)
{
	uint8_t p[40] = {1};

	(void)state;
	send_u64(SET_PROTOCOL, 1 << 3, -1);
	region(p + 8, GPA, 2 * RAM, USER, 0); /* more than the file has */
	send_raw(SET_MEM_TABLE, 9, p, 40, &memfd, 1);
	assert_int_equal(reply_u64(SET_MEM_TABLE), 1);
	region(p + 8, GPA, RAM, USER, 0);
	send_raw(SET_MEM_TABLE, 9, p, 40, &memfd, 1);
	assert_int_equal(reply_u64(SET_MEM_TABLE), 0);
	assert_int_equal(closed, 0);
}

static void messages_may_come_in_pieces(void **state)
{
	uint8_t m[20] = {SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8};

	(void)state;
	put_le64(m + 12, ALL);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(write(sock, m + i, 1), 1);
		step();
	}
	assert_true(dev->features == (ALL & ~F_PROTOCOL));
	assert_int_equal(write(sock, m, 13), 13);
	step();
	close(sock);
	step();
	sock = -1;
	assert_int_equal(closed, 1);
	assert_string_equal(closed_why, "cut message");
}

static void a_plain_close_has_no_reason(void **state)
{
	(void)state;
	start_ring();
	close(sock);
	sock = -1;
	step();
	assert_int_equal(closed, 1);
	assert_null(closed_why);
	assert_false(dev->active);
}

static void a_reset_forgets_the_rings(void **state)
{
	(void)state;
	start_ring();
	send_msg(RESET_DEVICE, NULL, 0, -1);
	assert_false(dev->active);
	start_ring();
	send_msg(RESET_OWNER, NULL, 0, -1);
	assert_false(dev->active);
	start_ring();
	assert_true(dev->active);
}

static void config_is_read_by_range(void **state)
{
	struct virtio_dev *d;
	uint8_t p[12 + 256] = {0};

	(void)state;
	vhost_user_free(vu);
	vu = NULL;
	virtio_free(dev);
	assert_int_equal(vsock_new(loop, 9, &d, NULL), 0);
	dev = d;
	again();
	send_msg(GET_PROTOCOL, NULL, 0, -1);
	assert_true(reply_u64(GET_PROTOCOL) >> 9 & 1);
	put_le32(p + 4, 8);
	send_msg(GET_CONFIG, p, 20, -1);
	assert_int_equal(reply(GET_CONFIG, p), 20);
	assert_int_equal(get_le64(p + 12), 9);
	memset(p, 0, sizeof(p));
	put_le32(p, 256);
	send_msg(GET_CONFIG, p, 12, -1);
	assert_int_equal(reply(GET_CONFIG, p), 12);
	put_le32(p, 250);
	put_le32(p + 4, 7);
	send_msg(GET_CONFIG, p, 19, -1);
	expect_closed();
	again();
	memset(p, 0, sizeof(p));
	put_le32(p, UINT32_MAX);
	put_le32(p + 4, 8);
	send_msg(SET_CONFIG, p, 20, -1);
	expect_closed();
}

/* vsock has three queues in all; QEMU keeps the third for itself. */
static void a_model_may_run_with_fewer_rings(void **state)
{
	struct virtio_dev *d;

	(void)state;
	vhost_user_free(vu);
	vu = NULL;
	virtio_free(dev);
	assert_int_equal(vsock_new(loop, 9, &d, NULL), 0);
	dev = d;
	again();
	start_ring();
	assert_true(dev->active);
	assert_false(dev->vqs[1].ready);
	kick_it();
	assert_false(dev->broken);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_negotiates),
		T(a_ring_runs_from_start_to_stop),
		T(requests_made_before_the_start_are_served),
		T(without_protocol_features_rings_start_enabled),
		T(disabled_rings_rest),
		T(memory_may_change_while_rings_run),
		T(rings_that_the_guest_broke_stop_the_device_only),
		T(bad_ring_places_stop_the_device_only),
		T(wrong_sizes_close),
		T(wrong_flags_and_huge_lengths_close),
		T(unoffered_features_close),
		T(running_rings_are_frozen),
		T(rings_that_do_not_exist_close),
		T(descriptors_must_be_as_announced),
		T(a_kick_that_is_no_eventfd_closes),
		T(bad_memory_tables_are_refused),
		T(failures_are_told_when_an_answer_is_wanted),
		T(messages_may_come_in_pieces),
		T(a_plain_close_has_no_reason),
		T(a_reset_forgets_the_rings),
		T(config_is_read_by_range),
		T(a_model_may_run_with_fewer_rings),
	};

	return cmocka_run_group_tests_name("virtio/vhost_user", tests, NULL,
	                                   NULL);
}
