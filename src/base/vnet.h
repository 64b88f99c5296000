/*
 * vnet.h - the header in front of each frame of a virtio network device
 * (virtio 1.2, section 5.1.6; Linux has it before the frames of a TAP, too).
 * Little endian.
 */
#ifndef BASE_VNET_H
#define BASE_VNET_H

#include <stdint.h>

struct vnet_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start, csum_offset;
	uint16_t num_buffers;
} __attribute__((packed));

#define VNET_HDR_LEN 12

#define VNET_NEEDS_CSUM 1 /* flags: the checksum is the sender's to fill in */
#define VNET_DATA_VALID 2

#define VNET_GSO_NONE  0
#define VNET_GSO_TCPV4 1
#define VNET_GSO_UDP   3
#define VNET_GSO_TCPV6 4
#define VNET_GSO_ECN   0x80

#endif
