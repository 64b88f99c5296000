/*
 * mmio_guest.h - a driver that reaches a device through virtio-mmio registers,
 * as a guest's kernel does; the device's loop runs in a thread of its own.
 *
 * Rings and memory are a fake_guest's, which itself knows no device here.
 */
#ifndef TEST_MMIO_GUEST_H
#define TEST_MMIO_GUEST_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/loop.h"
#include "lib/fake_guest.h"
#include "virtio/mmio.h"

#define R_MAGIC        0x000u
#define R_VERSION      0x004u
#define R_DEVICE_ID    0x008u
#define R_VENDOR       0x00cu
#define R_FEATURES     0x010u
#define R_FEATURES_SEL 0x014u
#define R_DRIVER       0x020u
#define R_DRIVER_SEL   0x024u
#define R_QUEUE_SEL    0x030u
#define R_QUEUE_MAX    0x034u
#define R_QUEUE_SIZE   0x038u
#define R_QUEUE_READY  0x044u
#define R_NOTIFY       0x050u
#define R_INTERRUPTS   0x060u
#define R_ACK          0x064u
#define R_STATUS       0x070u
#define R_DESC         0x080u
#define R_AVAIL        0x090u
#define R_USED         0x0a0u
#define R_GENERATION   0x0fcu
#define R_CONFIG       0x100u

#define S_ACKNOWLEDGE 0x01u
#define S_DRIVER      0x03u /* each with what must be there before it */
#define S_FEATURES_OK 0x0bu
#define S_DRIVER_OK   0x0fu
#define S_NEEDS_RESET 0x40u
#define S_FAILED      0x80u

#define RING_SIZE 16

struct mmio_guest {
	struct fake_guest ram;
	struct virtio_dev *dev;
	struct loop *loop;
	pthread_t thread;
	struct mmio *mmio;
	int irq_fd;
	bool runs, owns_loop;
};

/*
 * A device on a loop of its own, or on another guest's (who is closed last).
 * guest_run() starts the loop's thread; guest_open() is both.
 */
void guest_attach(struct mmio_guest *g, struct virtio_dev *dev,
                  struct loop *shared);
void guest_run(struct mmio_guest *g);
void guest_open(struct mmio_guest *g, struct virtio_dev *dev);
void guest_stop(struct mmio_guest *g);  /* the loop's thread ends */
void guest_close(struct mmio_guest *g); /* frees the device, too */

uint32_t reg_read(struct mmio_guest *g, uint32_t off);
void reg_write(struct mmio_guest *g, uint32_t off, uint32_t v);

/* The steps of a driver; guest_setup() does them all up to FEATURES_OK. */
void guest_features(struct mmio_guest *g, uint64_t features);
void guest_setup(struct mmio_guest *g, uint64_t features);
void guest_queue(struct mmio_guest *g, uint32_t q, const struct vq_layout *at);
void guest_start(struct mmio_guest *g, uint64_t features);
void guest_reset(struct mmio_guest *g); /* with fresh rings */

/* All that the loop had to do before has been done. */
void guest_barrier(struct mmio_guest *g);

/* Interrupts that came since the last call; the second waits for one. */
uint64_t guest_interrupts(struct mmio_guest *g);
void guest_await(struct mmio_guest *g);

/* Make a request available, notify, wait; gives the used length. */
uint32_t guest_request(struct mmio_guest *g, unsigned q,
                       const struct fake_buf *b, unsigned n);

/* A model that does what a test wants. */
#define PROBE_CONFIG 12u

struct probe {
	struct virtio_dev dev;
	struct loop *loop;
	int activate_error;
	atomic_bool block;      /* notify() posts entered and waits for go */
	atomic_bool greedy;     /* notify() always asks for another turn */
	atomic_bool interrupts; /* notify() interrupts */
	sem_t entered, go;
	atomic_uint activated, notified, resets, writes;
	atomic_bool wrong_thread, in_notify;
	uint8_t config[PROBE_CONFIG];
};

struct virtio_dev *probe_new(struct probe *p);

#endif
