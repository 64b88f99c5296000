/*
 * vsock_guest.h - a guest's vsock driver and a host's application, by hand.
 *
 * vsock_setup() starts a device with one listener (PORT) whose connections end
 * in host_end, and posts rx buffers. say*() send packets of the guest's
 * connection GUEST -> PORT, expect() takes the next one that the device sent.
 */
#ifndef TEST_VSOCK_GUEST_H
#define TEST_VSOCK_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/fake_guest.h"
#include "virtio/vsock_int.h"

#define SIZE     64
#define CID      3
#define RX_ROOM  4096u
#define FEATURES (F_VERSION_1 | F_INDIRECT | F_EVENT_IDX)
#define PORT     1000u /* the host's listener */
#define GUEST    77u   /* the guest's port */

extern struct fake_guest g;
extern struct virtio_dev *dev;
extern struct loop *loop;
extern int host_end; /* our end of the last accepted connection */
extern unsigned accepted;
extern int accept_error; /* what the listener answers instead */
extern uint64_t tx_buf;

int vsock_setup(void **state);
int vsock_teardown(void **state);

int on_accept(void *arg);
void post_rx(unsigned n, uint32_t room);
void begin(unsigned rx); /* after fake_restart() */
void step(void);         /* let the loop handle what came */

struct vsock_packet packet(enum vsock_op op, uint32_t len);
struct vsock_packet from_guest_port(const struct vsock_packet *to,
                                    enum vsock_op op);
void put_packet(const struct vsock_packet *p, uint8_t *raw);

/* Queue one packet with @room bytes behind the header; send_tx() kicks. */
void queue_tx(const struct vsock_packet *p, uint32_t room);
void send_tx(const struct vsock_packet *p, uint32_t room);
void say(enum vsock_op op);
void say_shutdown(uint32_t flags);
void say_data(const char *text);

/* The next packet for the guest; its buffer is posted again. */
bool hear(struct vsock_packet *p, uint8_t *data);
struct vsock_packet expect(enum vsock_op op);
void expect_silence(void);

void open_by_guest(void);
int open_pair(int *host);
int fds_open(void);
unsigned conns(void);
bool host_eof(void);

#endif
