/* The ring: add, subtract, reduce, pack, unpack, sums of packed vectors, bounds. */
#include "fuzz.h"

enum { MOST_LANES = 700, MOST_VECTORS = 9 };

static unsigned bit_of(const uint8_t *packed, size_t place)
{
    return packed[place / 8] >> (place % 8) & 1u;
}

static bool padded(const uint8_t *packed, size_t length, unsigned bits)
{
    for (size_t place = length * bits; place < 8 * packed_size(length, bits); place++)
        if (bit_of(packed, place) != 0)
            return false;
    return true;
}

static uint64_t element(const uint8_t *packed, size_t i, unsigned bits)
{
    uint64_t value = 0;
    for (unsigned bit = 0; bit < bits; bit++)
        value |= (uint64_t)bit_of(packed, i * bits + bit) << bit;
    return value;
}

#define RING(n)                                                                                   \
    static void arithmetic_u##n(struct input *input, size_t length, unsigned bits)                \
    {                                                                                             \
        const size_t size = length * (n / 8);                                                     \
        uint##n##_t *one = taken(input, size), *other = taken(input, size);                       \
        const uint64_t bound = number(input, 8) % (low_bits(bits - 1) + (bits == 1));             \
        EVERY_LEVEL(level)                                                                        \
        {                                                                                         \
            uint##n##_t *sum = copied(one, size), *rest = copied(one, size);                      \
            secagg_ring_add_u##n(sum, other, length);                                             \
            secagg_ring_subtract_u##n(rest, other, length);                                       \
            for (size_t i = 0; i < length; i++) {                                                 \
                EXPECT(sum[i] == (uint##n##_t)((uint64_t)one[i] + other[i]));                     \
                EXPECT(rest[i] == (uint##n##_t)((uint64_t)one[i] - other[i]));                    \
            }                                                                                     \
            secagg_ring_reduce_u##n(sum, length, bits);                                           \
            bool small = true;                                                                    \
            for (size_t i = 0; i < length; i++) {                                                 \
                EXPECT(sum[i] == (((uint64_t)one[i] + other[i]) & low_bits(bits) &                \
                                  low_bits(n)));                                                  \
                const uint64_t distance = sum[i] >> (bits - 1) != 0                               \
                                              ? low_bits(bits) - sum[i] + 1                       \
                                              : sum[i];                                           \
                small = small && distance <= bound;                                               \
            }                                                                                     \
            EXPECT(secagg_ring_within_u##n(sum, length, bits, bound) == small);                   \
            uint8_t *packed = room(packed_size(length, bits));                                    \
            secagg_ring_pack_u##n(packed, sum, length, bits);                                     \
            EXPECT(padded(packed, length, bits));                                                 \
            for (size_t i = 0; i < length; i++)                                                   \
                EXPECT(element(packed, i, bits) == sum[i]);                                       \
            free(packed);                                                                         \
            free(rest);                                                                           \
            free(sum);                                                                            \
        }                                                                                         \
        free(other);                                                                              \
        free(one);                                                                                \
    }                                                                                             \
                                                                                                  \
    static void sums_u##n(struct input *input, size_t length, unsigned bits)                      \
    {                                                                                             \
        const size_t count = number(input, 1) % (MOST_VECTORS + 1);                               \
        const size_t size = length * (n / 8), packed = packed_size(length, bits);                 \
        uint8_t *vectors[MOST_VECTORS];                                                           \
        uint##n##_t *start = taken(input, size);                                                  \
        bool canonical = true;                                                                    \
        for (size_t k = 0; k < count; k++) {                                                      \
            vectors[k] = taken(input, packed);                                                    \
            canonical = canonical && padded(vectors[k], length, bits);                            \
        }                                                                                         \
        EVERY_LEVEL(level)                                                                        \
        {                                                                                         \
            uint##n##_t *total = copied(start, size), *expected = copied(start, size);            \
            for (size_t k = 0; k < count; k++) {                                                  \
                uint##n##_t *vector = copied(start, size);                                        \
                const bool whole = padded(vectors[k], length, bits);                              \
                const int status = secagg_ring_unpack_u##n(vector, vectors[k], length, bits);     \
                EXPECT(status == (whole ? SECAGG_OK : SECAGG_NOT_CANONICAL));                     \
                for (size_t i = 0; i < length; i++) {                                             \
                    EXPECT(vector[i] == (whole ? element(vectors[k], i, bits) : start[i]));       \
                    if (canonical)                                                                \
                        expected[i] = (uint##n##_t)(expected[i] + vector[i]);                     \
                }                                                                                 \
                free(vector);                                                                     \
            }                                                                                     \
            const int status = secagg_ring_sum_u##n(total, (const uint8_t *const *)vectors,       \
                                                    count, length, bits);                         \
            EXPECT(status == (canonical ? SECAGG_OK : SECAGG_NOT_CANONICAL));                     \
            EXPECT(same(total, expected, size));                                                  \
            free(expected);                                                                       \
            free(total);                                                                          \
        }                                                                                         \
        for (size_t k = 0; k < count; k++)                                                        \
            free(vectors[k]);                                                                     \
        free(start);                                                                              \
    }

RING(16)
RING(32)
RING(64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    const unsigned kind = (unsigned)number(&input, 1), bits = (unsigned)number(&input, 1);
    const size_t length = number(&input, 2) % MOST_LANES;
    switch (kind % 6) {
    case 0:
        arithmetic_u16(&input, length, bits % 16 + 1);
        break;
    case 1:
        arithmetic_u32(&input, length, bits % 32 + 1);
        break;
    case 2:
        arithmetic_u64(&input, length, bits % 64 + 1);
        break;
    case 3:
        sums_u16(&input, length, bits % 16 + 1);
        break;
    case 4:
        sums_u32(&input, length, bits % 32 + 1);
        break;
    default:
        sums_u64(&input, length, bits % 64 + 1);
    }
    return 0;
}
