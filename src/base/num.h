/*
 * num.h - numbers: parsing of text from outside, bytes in wire order, and
 * arithmetic that says when it overflows.
 */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of which @ptr points to @member. */
#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define KIB (1024ULL)
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)

/* Whole string, base 10, no sign, no white space; false when out of range. */
bool num_parse_u64(const char *s, uint64_t max, uint64_t *ret);

/* The same in base 8 (file modes). */
bool num_parse_octal(const char *s, uint64_t max, uint64_t *ret);

/*
 * A size in bytes: digits, optional fraction, optional suffix K, M, G or T
 * (binary, any case, an optional "iB" or "B" behind it). A bare number is
 * multiplied by @unit (MIB for memory, 1 for byte counts).
 */
bool num_parse_size(const char *s, uint64_t unit, uint64_t *ret);

/* A duration in ms: "500ms", "30s", "5m", "2h", "1d"; bare means seconds. */
bool num_parse_duration_ms(const char *s, uint64_t *ret);

/* "12.3 MiB" into @out; returns @out. Units are binary, as docker shows. */
const char *num_format_size(uint64_t bytes, char *out, size_t out_len);

static inline bool num_add(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

static inline bool num_mul(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

/* @align must be a power of two; the caller knows that @v is far from 2^64. */
static inline uint64_t num_align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

static inline bool num_is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

#define NUM_WIRE(bits)                                                         \
	static inline uint##bits##_t get_le##bits(const void *p)               \
	{                                                                      \
		uint##bits##_t v;                                              \
		memcpy(&v, p, sizeof(v));                                      \
		return le##bits##_to_host(v);                                  \
	}                                                                      \
	static inline void put_le##bits(void *p, uint##bits##_t v)             \
	{                                                                      \
		v = le##bits##_to_host(v);                                     \
		memcpy(p, &v, sizeof(v));                                      \
	}                                                                      \
	static inline uint##bits##_t get_be##bits(const void *p)               \
	{                                                                      \
		uint##bits##_t v;                                              \
		memcpy(&v, p, sizeof(v));                                      \
		return be##bits##_to_host(v);                                  \
	}                                                                      \
	static inline void put_be##bits(void *p, uint##bits##_t v)             \
	{                                                                      \
		v = be##bits##_to_host(v);                                     \
		memcpy(p, &v, sizeof(v));                                      \
	}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define le16_to_host(v) (v)
#define le32_to_host(v) (v)
#define le64_to_host(v) (v)
#define be16_to_host(v) __builtin_bswap16(v)
#define be32_to_host(v) __builtin_bswap32(v)
#define be64_to_host(v) __builtin_bswap64(v)
#else
#define le16_to_host(v) __builtin_bswap16(v)
#define le32_to_host(v) __builtin_bswap32(v)
#define le64_to_host(v) __builtin_bswap64(v)
#define be16_to_host(v) (v)
#define be32_to_host(v) (v)
#define be64_to_host(v) (v)
#endif

NUM_WIRE(16)
NUM_WIRE(32)
NUM_WIRE(64)
#undef NUM_WIRE

#endif
