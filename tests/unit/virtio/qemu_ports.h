/* qemu_ports.h - what the two halves of test_qemu agree on. */
#ifndef TEST_QEMU_PORTS_H
#define TEST_QEMU_PORTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOT_LEN  (24u << 20)
#define UPPER_LEN (16u << 20)
#define FLOW_LEN  (1u << 20)

enum {
	PORT_ECHO = 5000,
	PORT_CALL_ME,
	PORT_CLOSER,
	PORT_NOBODY,
	PORT_GUEST = 6000,
};

static inline uint8_t disk_byte(uint32_t pos)
{
	return (uint8_t)(pos * 2654435761u >> 11 | 1);
}

/* FLOW_LEN known bytes, then end-of-file, each way. */
static inline bool send_pattern(int s)
{
	static __thread uint8_t data[16384];

	for (uint32_t pos = 0; pos < FLOW_LEN; pos += sizeof(data)) {
		for (uint32_t i = 0; i < sizeof(data); i++)
			data[i] = disk_byte(pos + i);
		for (uint32_t at = 0; at < sizeof(data);) {
			ssize_t n = send(s, data + at, sizeof(data) - at,
			                 MSG_NOSIGNAL);

			if (n < 0)
				return false;
			at += (uint32_t)n;
		}
	}
	return shutdown(s, SHUT_WR) == 0;
}

static inline bool read_pattern(int s)
{
	static __thread uint8_t data[65536];
	uint32_t pos = 0;
	ssize_t n;

	while ((n = read(s, data, sizeof(data))) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (data[i] != disk_byte(pos++))
				return false;
	return n == 0 && pos == FLOW_LEN;
}

#endif
