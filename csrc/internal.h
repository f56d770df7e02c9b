/* What the files of the core share: the mask kernels, wiping, and comparisons without branches. */
#ifndef SECAGG_INTERNAL_H
#define SECAGG_INTERNAL_H

#include "secagg.h"

#include <string.h>

#if defined(SECAGG_TAINT)
#include <valgrind/memcheck.h>
#endif

/* Adds the streams to `size` bytes of lanes, `start` bytes into each stream. Both are multiples of
 * lane_bytes (2, 4 or 8), start + size <= 2^36, and every stream is valid. */
typedef void secagg_mask_kernel(uint8_t *total, size_t size, uint64_t start, unsigned lane_bytes,
                                const struct secagg_mask_stream *streams, size_t count);

/* Writes the keystream to `size` bytes, a multiple of 256, from its begin on, and goes on over the
 * same bytes `passes` times: what the level can do at best. */
typedef void secagg_keystream_kernel(uint8_t *out, size_t size, size_t passes,
                                     const struct secagg_mask_stream *stream);

/* Values that an encode kernel takes at a time. */
enum { SECAGG_ENCODE_BATCH = 128 };

/* Encodes whole batches as secagg_fixed_encode_masked does, for clip * scale < 2^31 and an offset
 * at which both keystreams begin a block. Adds to *saturated; returns 0, or anything else if a
 * value is not finite, when the output is worthless. */
typedef uint64_t secagg_encode_kernel(uint8_t *out, const float *values, size_t batches,
                                      uint64_t offset, unsigned lane_bytes,
                                      const struct secagg_encoding *encoding,
                                      uint64_t *saturated);

/* Vectors that a sum kernel adds in one pass over the total. */
enum { SECAGG_SUM_VECTORS = 4 };

/* Adds 1 to SECAGG_SUM_VECTORS packed vectors, from byte `start` of each on, to the first elements
 * of `total`, and returns how many: a multiple of 8, at most `length`. It reads no more than
 * `readable` bytes of any vector. The caller adds the rest. */
typedef size_t secagg_sum_kernel(uint8_t *total, const uint8_t *const *packed, size_t count,
                                 size_t start, size_t readable, size_t length,
                                 unsigned lane_bytes, unsigned bits);

/* One table per level. A NULL entry means that the level has no kernel of its own. */
struct secagg_kernels {
    const char *name;
    int (*supported)(void);
    secagg_mask_kernel *mask_apply;
    secagg_keystream_kernel *keystream;
    secagg_encode_kernel *encode;
    secagg_sum_kernel *sum;
};

/* The level in use. */
const struct secagg_kernels *secagg_level(void);

/* 2^32 blocks of 16 bytes: beyond, the 32-bit block index would repeat. */
static const uint64_t secagg_stream_bytes = UINT64_C(1) << 36;

#if defined(__x86_64__)
secagg_mask_kernel secagg_mask_apply_aesni;
secagg_keystream_kernel secagg_mask_keystream_aesni;
secagg_mask_kernel secagg_mask_apply_vaes;
secagg_keystream_kernel secagg_mask_keystream_vaes;
secagg_encode_kernel secagg_encode_vaes;
secagg_sum_kernel secagg_sum_avx2;
#elif defined(__aarch64__)
secagg_mask_kernel secagg_mask_apply_armv8;
secagg_keystream_kernel secagg_mask_keystream_armv8;
#endif

/* Declares that a value computed from secrets is public: the verdict whether an input is valid.
 * The build for tests/ct.c tells valgrind; in every other build it is the value itself. */
static inline uint64_t verdict(uint64_t value)
{
#if defined(SECAGG_TAINT)
    (void)VALGRIND_MAKE_MEM_DEFINED(&value, sizeof value);
#endif
    return value;
}

/* The empty asm reads the memory as far as the compiler knows, so the memset must happen. */
static inline void wipe(void *buffer, size_t size)
{
    if (size == 0)
        return;
    memset(buffer, 0, size);
    __asm__ __volatile__("" : : "r"(buffer) : "memory");
}

/* Hides from the optimiser where a value came from, or it could turn arithmetic on a comparison's
 * result back into a branch. */
static inline uint64_t opaque(uint64_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* 1 if a < b, else 0, for a, b < 2^63: then the difference wraps exactly when a < b. */
static inline uint64_t less_than(uint64_t a, uint64_t b)
{
    return opaque((a - b) >> 63);
}

/* 1 if value != 0, else 0: value or its negation has the top bit set unless both are zero. */
static inline uint64_t is_nonzero(uint64_t value)
{
    return opaque((value | (0 - value)) >> 63);
}

/* All ones if bit is 1, zero if it is 0. */
static inline uint64_t mask_of(uint64_t bit)
{
    return 0 - opaque(bit);
}

#endif
