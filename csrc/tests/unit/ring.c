/* Vectors in Z/2^b: addition, reduction, the bound, and their packed form against its definition. */
#include "unit.h"

static void check_ring_u16(void)
{
    for (size_t length = 0; length < 70; length++) {
        uint16_t *total = filled(length * sizeof *total);
        uint16_t *vector = filled(length * sizeof *vector);
        secagg_ring_add_u16(total, vector, length);
        for (size_t i = 0; i < length; i++)
            CHECK(total[i] == (uint16_t)(2 * vector[i]));
        secagg_ring_subtract_u16(total, vector, length);
        CHECK(length == 0 || memcmp(total, vector, length * sizeof *total) == 0);
        secagg_ring_reduce_u16(total, length, 3);
        for (size_t i = 0; i < length; i++)
            CHECK(total[i] == (vector[i] & 7));
        free(total);
        free(vector);
    }
}

static void check_ring_wraps(void)
{
    uint16_t narrow[] = {UINT16_MAX}, one16[] = {1};
    uint32_t middle[] = {UINT32_MAX}, one32[] = {1};
    uint64_t wide[] = {UINT64_MAX}, one64[] = {1};
    secagg_ring_add_u16(narrow, one16, 1);
    secagg_ring_add_u32(middle, one32, 1);
    secagg_ring_add_u64(wide, one64, 1);
    CHECK(narrow[0] == 0 && middle[0] == 0 && wide[0] == 0);
    secagg_ring_subtract_u16(narrow, one16, 1);
    secagg_ring_subtract_u32(middle, one32, 1);
    secagg_ring_subtract_u64(wide, one64, 1);
    CHECK(narrow[0] == UINT16_MAX && middle[0] == UINT32_MAX && wide[0] == UINT64_MAX);
    secagg_ring_reduce_u16(narrow, 1, 16);
    secagg_ring_reduce_u32(middle, 1, 31);
    secagg_ring_reduce_u64(wide, 1, 64);
    CHECK(narrow[0] == UINT16_MAX && middle[0] == INT32_MAX && wide[0] == UINT64_MAX);
}

#define CHECK_WITHIN(name, lane)                                                                  \
    static void check_within_##name(unsigned bits, uint64_t bound)                                \
    {                                                                                             \
        const uint64_t top = UINT64_MAX >> (64 - bits);                                           \
        const uint64_t inside[] = {0, 1, bound, top, top - bound + 1};                            \
        const uint64_t outside[] = {bound + 1, top - bound, top / 2 + 1};                         \
        for (size_t length = 0; length < 40; length++)                                            \
            for (size_t at = 0; at < length; at++) {                                              \
                lane *vector = filled(length * sizeof *vector);                                   \
                for (size_t i = 0; i < length; i++)                                               \
                    vector[i] = (lane)inside[i % 5];                                              \
                CHECK(secagg_ring_within_##name(vector, length, bits, bound));                    \
                for (size_t o = 0; o < 3; o++) {                                                  \
                    vector[at] = (lane)outside[o];                                                \
                    CHECK(!secagg_ring_within_##name(vector, length, bits, bound));               \
                }                                                                                 \
                vector[at] = (lane)(1 | (uint64_t)1 << (8 * sizeof(lane) - 1));                   \
                CHECK(!secagg_ring_within_##name(vector, length, bits, bound));                   \
                free(vector);                                                                     \
            }                                                                                     \
    }

CHECK_WITHIN(u16, uint16_t)
CHECK_WITHIN(u32, uint32_t)
CHECK_WITHIN(u64, uint64_t)

static unsigned bit_of(const uint8_t *packed, size_t position)
{
    return (unsigned)packed[position / 8] >> (position % 8) & 1u;
}

/* The packing of one lane type at every width it serves, against the definition bit by bit. */
#define CHECK_PACKING(name, lane, narrowest, widest)                                              \
    static void check_packing_##name(size_t length, unsigned bits)                                \
    {                                                                                             \
        const size_t size = (length * bits + 7) / 8;                                              \
        lane *vector = filled(length * sizeof *vector);                                           \
        lane *back = filled(length * sizeof *back);                                               \
        uint8_t *packed = filled(size);                                                           \
        const uint8_t *const one = packed;                                                        \
        for (size_t i = 0; i < length; i++)                                                       \
            vector[i] = (lane)(vector[i] * UINT64_C(0x9e3779b97f4a7c15));                         \
        secagg_ring_pack_##name(packed, vector, length, bits);                                    \
        for (size_t i = 0; i < length; i++)                                                       \
            for (unsigned j = 0; j < bits; j++)                                                   \
                CHECK(bit_of(packed, i * bits + j) == ((uint64_t)vector[i] >> j & 1));            \
        CHECK(secagg_ring_unpack_##name(back, packed, length, bits) == SECAGG_OK);                \
        secagg_ring_reduce_##name(vector, length, bits);                                          \
        CHECK(length == 0 || memcmp(back, vector, length * sizeof *back) == 0);                   \
        CHECK(secagg_ring_sum_##name(back, &one, 1, length, bits) == SECAGG_OK);                  \
        for (size_t i = 0; i < length; i++)                                                       \
            CHECK(back[i] == (lane)(2 * vector[i]));                                              \
        if (length * bits % 8 != 0) {                                                             \
            packed[size - 1] |= 0x80;                                                             \
            back[0] = 5;                                                                          \
            CHECK(secagg_ring_unpack_##name(back, packed, length, bits) ==                        \
                  SECAGG_NOT_CANONICAL);                                                          \
            CHECK(secagg_ring_sum_##name(back, &one, 1, length, bits) ==                          \
                  SECAGG_NOT_CANONICAL);                                                          \
            CHECK(back[0] == 5);                                                                  \
        }                                                                                         \
        free(vector);                                                                             \
        free(back);                                                                               \
        free(packed);                                                                             \
    }                                                                                             \
    /* Up to nine vectors at odd addresses, over more than one tile, one at a time and together. */\
    static void check_sum_##name(size_t length, unsigned bits)                                    \
    {                                                                                             \
        enum { VECTORS = 9 };                                                                     \
        const size_t size = (length * bits + 7) / 8;                                              \
        uint8_t *buffers[VECTORS];                                                                \
        const uint8_t *packed[VECTORS];                                                           \
        lane *vector = filled(length * sizeof *vector);                                           \
        lane *expected = filled(length * sizeof *expected);                                       \
        for (size_t v = 0; v < VECTORS; v++) {                                                    \
            for (size_t i = 0; i < length; i++)                                                   \
                vector[i] = (lane)((i + 1) * (2 * v + 1) * UINT64_C(0x9e3779b97f4a7c15));         \
            buffers[v] = filled(size + v);                                                        \
            secagg_ring_pack_##name(buffers[v] + v, vector, length, bits);                        \
            packed[v] = buffers[v] + v;                                                           \
        }                                                                                         \
        for (size_t count = 0; count <= VECTORS; count++) {                                       \
            lane *total = filled(length * sizeof *total);                                         \
            if (length != 0)                                                                      \
                memcpy(expected, total, length * sizeof *total);                                  \
            for (size_t v = 0; v < count; v++) {                                                  \
                CHECK(secagg_ring_unpack_##name(vector, packed[v], length, bits) == SECAGG_OK);   \
                for (size_t i = 0; i < length; i++)                                               \
                    expected[i] = (lane)(expected[i] + vector[i]);                                \
            }                                                                                     \
            CHECK(secagg_ring_sum_##name(total, packed, count, length, bits) == SECAGG_OK);       \
            CHECK(length == 0 || memcmp(total, expected, length * sizeof *total) == 0);           \
            free(total);                                                                          \
        }                                                                                         \
        for (size_t v = 0; v < VECTORS; v++)                                                      \
            free(buffers[v]);                                                                     \
        free(vector);                                                                             \
        free(expected);                                                                           \
    }                                                                                             \
    static void check_all_packings_##name(void)                                                   \
    {                                                                                             \
        for (unsigned bits = narrowest; bits <= widest; bits++) {                                 \
            for (size_t length = 0; length < 140; length += length < 20 ? 1 : 13) {               \
                check_packing_##name(length, bits);                                               \
                check_sum_##name(length, bits);                                                   \
            }                                                                                     \
            check_sum_##name(16 * 1024 / sizeof(lane) + 37, bits);                                \
            if (bits % 9 == 5)                                                                    \
                check_sum_##name(1024 * 1024 / sizeof(lane) + 37, bits); /* two tiles */          \
        }                                                                                         \
    }

CHECK_PACKING(u16, uint16_t, 1, 16)
CHECK_PACKING(u32, uint32_t, 1, 32)
CHECK_PACKING(u64, uint64_t, 1, 64)

int failures_of_ring(void)
{
    check_ring_u16();
    check_ring_wraps();
    check_within_u16(9, 17);
    check_within_u16(16, 32000);
    check_within_u32(20, 400);
    check_within_u32(32, 1 << 30);
    check_within_u64(33, 1 << 30);
    check_within_u64(64, UINT64_C(1) << 62);
    check_all_packings_u16();
    check_all_packings_u32();
    check_all_packings_u64();
    return failures;
}
