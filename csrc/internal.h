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

/* One table per level. A NULL entry means that the level cannot do it. */
struct secagg_kernels {
    const char *name;
    int (*supported)(void);
    secagg_mask_kernel *mask_apply;
};

#if defined(__x86_64__)
secagg_mask_kernel secagg_mask_apply_aesni;
secagg_mask_kernel secagg_mask_apply_vaes;
#elif defined(__aarch64__)
secagg_mask_kernel secagg_mask_apply_armv8;
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
