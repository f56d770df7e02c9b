/* Vectors in Z/2^b: addition, reduction, and their packed form on the wire. */
#include "internal.h"

/* Bytes of the total that stay in a cache while all vectors pass over them. Not in the smallest:
 * every begin of a stretch of a vector is a new page and waits for memory, so long stretches win. */
enum { SUM_TILE = 1024 * 1024 };

static inline uint64_t low_bits(unsigned bits)
{
    return UINT64_MAX >> (64 - bits);
}

/* No overflow: a vector of `length` lanes exists, so length < 2^63 / 2 bytes, and no machine has
 * the 2^57 bytes at which length * 64 would wrap. */
static inline size_t packed_size(size_t length, unsigned bits)
{
    return (length * bits + 7) / 8;
}

static int padding_is_zero(const uint8_t *packed, size_t length, unsigned bits)
{
    const unsigned used = (unsigned)(length * bits % 8); /* bits of the last byte; 0 means all */
    const uint64_t last = used == 0 ? 0 : packed[packed_size(length, bits) - 1];
    return verdict(last >> used) == 0;
}

/* 64 bits from bit `position` on. Reads the 16 bytes from byte position / 64 * 8 on. */
static inline uint64_t bits_at(const uint8_t *packed, size_t position)
{
    const unsigned shift = position % 64;
    uint64_t low, high;
    memcpy(&low, packed + position / 64 * 8, 8);
    memcpy(&high, packed + position / 64 * 8 + 8, 8);
    /* In two steps, because a shift by 64 is undefined; at shift 0 it takes nothing from high. */
    return low >> shift | high << 1 << (63 - shift);
}

/* As bits_at, with zeros behind the end of the packed bytes. */
static uint64_t last_bits_at(const uint8_t *packed, size_t size, size_t position)
{
    uint8_t window[16] = {0};
    const size_t start = position / 64 * 8;
    const size_t rest = size - start;
    memcpy(window, packed + start, rest < sizeof window ? rest : sizeof window);
    return bits_at(window, position % 64);
}

/* How many elements from the first on bits_at can read without passing the end: those whose first
 * bit lies before word number (size - 16) / 8 + 1. */
static size_t far_from_the_end(size_t length, unsigned bits)
{
    const size_t size = packed_size(length, bits);
    const size_t count = size < 16 ? 0 : ((size / 8 - 1) * 64 + bits - 1) / bits;
    return count < length ? count : length;
}

#define LANE uint16_t
#define NAME(verb) secagg_ring_##verb##_u16
#include "lanes.h"

#define LANE uint32_t
#define NAME(verb) secagg_ring_##verb##_u32
#include "lanes.h"

#define LANE uint64_t
#define NAME(verb) secagg_ring_##verb##_u64
#include "lanes.h"
