/*
 * pcap.h - what the guest sent and got, in a file that tcpdump and Wireshark
 * read (pcap, nanoseconds, Ethernet).
 */
#ifndef NET_PCAP_H
#define NET_PCAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct pcap;

/* Owns @fd on success. NULL with errno set. */
struct pcap *pcap_new(int fd);
void pcap_free(struct pcap *p); /* writes what is left */

/* A frame, whole; @unix_ns is now. A write that fails ends the capture. */
void pcap_write(struct pcap *p, uint64_t unix_ns, const struct iovec *v,
                unsigned n, size_t len);
void pcap_flush(struct pcap *p);

#endif
