/*
 * Unit tests of the C core at one level: `unit portable`, `unit aesni`, `unit vaes`, `unit armv8`.
 *
 * Run under sanitizers these are first of all tests of bounds: every buffer has its exact size.
 * Equality with independent implementations is tested from Python, at the same levels.
 */
#include "check.h"
#include "internal.h"

#include <math.h>

enum { SKIPPED = 77 };

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

/* NIST SP 800-38A, F.5.1 and F.5.5: the keystream is plaintext xor ciphertext. Its counter starts
 * at block 0xfcfdfeff of our streams. */
static const uint8_t nist_iv[12] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5,
                                    0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb};
static const uint64_t nist_block = 0xfcfdfeff;
static const uint8_t nist_key128[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                        0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
static const uint8_t nist_key256[32] = {
    0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81,
    0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4};
static const uint8_t nist_plaintext[16] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                           0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a};
static const uint8_t nist_ciphertext128[16] = {0x87, 0x4d, 0x61, 0x91, 0xb6, 0x20, 0xe3, 0x26,
                                               0x1b, 0xef, 0x68, 0x64, 0x99, 0x0d, 0xb6, 0xce};
static const uint8_t nist_ciphertext256[16] = {0x60, 0x1e, 0xc3, 0x13, 0x77, 0x57, 0x89, 0xa5,
                                               0xb7, 0xa7, 0xf5, 0x04, 0xbb, 0xf3, 0xd2, 0x28};

static struct secagg_mask_stream stream_of(const uint8_t *key, uint8_t key_size, int8_t sign)
{
    struct secagg_mask_stream stream = {.key_size = key_size, .sign = sign};
    memcpy(stream.key, key, key_size);
    memcpy(stream.iv, nist_iv, sizeof nist_iv);
    return stream;
}

static void check_nist(const uint8_t *key, uint8_t key_size, const uint8_t *ciphertext)
{
    const struct secagg_mask_stream stream = stream_of(key, key_size, 1);
    uint16_t lanes[8] = {0};
    uint8_t keystream[16];
    CHECK(secagg_mask_apply_u16(lanes, 8, nist_block * 8, &stream, 1) == SECAGG_OK);
    memcpy(keystream, lanes, sizeof keystream);
    for (size_t i = 0; i < sizeof keystream; i++)
        CHECK((keystream[i] ^ nist_plaintext[i]) == ciphertext[i]);
}

/* Any part of a vector, masked on its own, is that part of the masked vector. */
#define CHECK_PARTS(name, lane)                                                                   \
    static void check_parts_##name(void)                                                          \
    {                                                                                             \
        enum { LENGTH = 20000 };                                                                  \
        static const size_t starts[] = {0, 1, 7, 8, 9, 127, 128, 129, 4095, 16384, 19990};        \
        static const size_t lengths[] = {0, 1, 2, 3, 7, 8, 15, 17, 33, 63, 64, 65, 129, 8193};    \
        const struct secagg_mask_stream streams[] = {stream_of(nist_key128, 16, 1),               \
                                                     stream_of(nist_key256, 32, -1),              \
                                                     stream_of(nist_key256, 16, -1)};             \
        lane *whole = filled(LENGTH * sizeof *whole);                                             \
        CHECK(secagg_mask_apply_##name(whole, LENGTH, 0, streams, 3) == SECAGG_OK);               \
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++)                               \
            for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {                       \
                const size_t start = starts[s];                                                   \
                const size_t rest = LENGTH - start;                                               \
                const size_t length = lengths[n] < rest ? lengths[n] : rest;                      \
                lane *source = filled(LENGTH * sizeof *source);                                   \
                lane *part = filled(length * sizeof *part);                                       \
                if (length != 0)                                                                  \
                    memcpy(part, source + start, length * sizeof *part);                          \
                CHECK(secagg_mask_apply_##name(part, length, start, streams, 3) == SECAGG_OK);    \
                CHECK(length == 0 || memcmp(part, whole + start, length * sizeof *part) == 0);    \
                free(part);                                                                       \
                free(source);                                                                     \
            }                                                                                     \
        free(whole);                                                                              \
    }

CHECK_PARTS(u16, uint16_t)
CHECK_PARTS(u32, uint32_t)
CHECK_PARTS(u64, uint64_t)

/* Masked and packed in one call, and in two. */
#define CHECK_MASK_PACK(name, lane)                                                               \
    static void check_mask_pack_##name(unsigned bits)                                             \
    {                                                                                             \
        static const size_t lengths[] = {0, 1, 8191, 8192, 8193, 40001};                          \
        const struct secagg_mask_stream streams[] = {stream_of(nist_key128, 16, 1),               \
                                                     stream_of(nist_key256, 32, -1)};             \
        for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {                           \
            const size_t length = lengths[n], size = (length * bits + 7) / 8;                     \
            lane *vector = filled(length * sizeof *vector);                                       \
            uint8_t *together = filled(size);                                                     \
            uint8_t *apart = filled(size);                                                        \
            CHECK(secagg_mask_pack_##name(together, vector, length, 5, bits, streams, 2) ==       \
                  SECAGG_OK);                                                                     \
            CHECK(secagg_mask_apply_##name(vector, length, 5, streams, 2) == SECAGG_OK);          \
            secagg_ring_pack_##name(apart, vector, length, bits);                                 \
            CHECK(size == 0 || memcmp(together, apart, size) == 0);                               \
            free(vector);                                                                         \
            free(together);                                                                       \
            free(apart);                                                                          \
        }                                                                                         \
    }

CHECK_MASK_PACK(u16, uint16_t)
CHECK_MASK_PACK(u32, uint32_t)
CHECK_MASK_PACK(u64, uint64_t)

static void check_speed(void)
{
    const struct secagg_mask_stream stream = stream_of(nist_key128, 16, 1);
    uint8_t keystream[512], again[512];
    uint32_t total[128] = {0};
    CHECK(secagg_speed_keystream(keystream, 512, 1, &stream) == SECAGG_OK);
    CHECK(secagg_mask_apply_u32(total, 128, 0, &stream, 1) == SECAGG_OK);
    CHECK(memcmp(keystream, total, sizeof keystream) == 0);
    CHECK(secagg_speed_keystream(again, 256, 2, &stream) == SECAGG_OK);
    CHECK(memcmp(again, keystream + 256, 256) == 0);
    CHECK(secagg_speed_keystream(again, 100, 1, &stream) == SECAGG_PARAMETER);
    secagg_speed_copy(again, keystream, 512);
    CHECK(memcmp(again, keystream, 512) == 0);
    CHECK(secagg_speed_read(keystream, 512) == secagg_speed_read(again, 512));
}

static void check_mask_signs(void)
{
    const struct secagg_mask_stream streams[] = {stream_of(nist_key128, 16, 1),
                                                 stream_of(nist_key128, 16, -1)};
    uint32_t total[100] = {0};
    CHECK(secagg_mask_apply_u32(total, 100, 3, streams, 2) == SECAGG_OK);
    for (size_t i = 0; i < 100; i++)
        CHECK(total[i] == 0);
    CHECK(secagg_mask_apply_u32(total, 100, 3, streams, 1) == SECAGG_OK);
    CHECK(total[0] != 0 && total[99] != 0);
    CHECK(secagg_mask_apply_u32(total, 100, 3, streams + 1, 1) == SECAGG_OK);
    for (size_t i = 0; i < 100; i++)
        CHECK(total[i] == 0);
}

static void check_mask_refusals(void)
{
    const uint64_t last = (UINT64_C(1) << 34) - 1; /* element of 4 bytes in 2^36 bytes */
    struct secagg_mask_stream stream = stream_of(nist_key128, 16, 1);
    uint32_t total[2] = {0};
    CHECK(secagg_mask_apply_u32(total, 1, last, &stream, 1) == SECAGG_OK);
    CHECK(secagg_mask_apply_u32(total, 0, last + 1, &stream, 1) == SECAGG_OK);
    total[0] = 0;
    CHECK(secagg_mask_apply_u32(total, 2, last, &stream, 1) == SECAGG_PARAMETER);
    CHECK(secagg_mask_apply_u32(total, 1, UINT64_MAX, &stream, 1) == SECAGG_PARAMETER);
    stream.sign = 0;
    CHECK(secagg_mask_apply_u32(total, 1, 0, &stream, 1) == SECAGG_PARAMETER);
    stream.sign = 1;
    stream.key_size = 24;
    CHECK(secagg_mask_apply_u32(total, 1, 0, &stream, 1) == SECAGG_PARAMETER);
    CHECK(total[0] == 0 && total[1] == 0);
}

/* What the vector registers hold: 16 bytes of each. */
#if defined(__x86_64__)
enum { REGISTERS = 16 };
#define STORE(i) "movups %%xmm" #i ", 16*" #i "(%0)\n\t"
#elif defined(__aarch64__)
enum { REGISTERS = 32 };
#define STORE(i) "str q" #i ", [%0, #16*" #i "]\n\t"
#endif

#if defined(STORE)
/* After any mask no register holds keystream: all are zero, but for what belongs to the caller. */
static void check_registers_after(uint8_t key_size, size_t length)
{
    const struct secagg_mask_stream stream = stream_of(nist_key256, key_size, 1);
    uint32_t *total = filled(length * sizeof *total);
    uint8_t registers[REGISTERS][16];
    memset(registers, 0xff, sizeof registers);
    const int status = secagg_mask_apply_u32(total, length, 3, &stream, 1);
    __asm__ __volatile__(STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5) STORE(6) STORE(7)
                             STORE(8) STORE(9) STORE(10) STORE(11) STORE(12) STORE(13) STORE(14)
                                 STORE(15)
#if defined(__aarch64__)
                                     STORE(16) STORE(17) STORE(18) STORE(19) STORE(20) STORE(21)
                                         STORE(22) STORE(23) STORE(24) STORE(25) STORE(26)
                                             STORE(27) STORE(28) STORE(29) STORE(30) STORE(31)
#endif
                         :
                         : "r"(registers)
                         : "memory");
    CHECK(status == SECAGG_OK);
    for (size_t i = 0; i < REGISTERS; i++)
        for (size_t j = 0; j < 16; j++) {
#if defined(__aarch64__)
            if (i >= 8 && i < 16 && j < 8)
                continue; /* a function gives these back as it found them */
#endif
            CHECK(registers[i][j] == 0);
        }
    free(total);
}
#undef STORE

static void check_registers(void)
{
    static const size_t lengths[] = {1, 29, 4096, 20000}; /* an edge, one chunk, tiles */
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        check_registers_after(16, lengths[i]);
        check_registers_after(32, lengths[i]);
    }
}
#endif

static void check_masks(void)
{
    if (!secagg_cpu_has_masks()) {
        const struct secagg_mask_stream stream = stream_of(nist_key128, 16, 1);
        uint32_t total = 0;
        CHECK(secagg_mask_apply_u32(&total, 1, 0, &stream, 1) == SECAGG_UNAVAILABLE);
        CHECK(total == 0);
        return;
    }
    check_nist(nist_key128, 16, nist_ciphertext128);
    check_nist(nist_key256, 32, nist_ciphertext256);
    check_parts_u16();
    check_parts_u32();
    check_parts_u64();
    check_mask_pack_u16(11);
    check_mask_pack_u32(25);
    check_mask_pack_u32(32);
    check_mask_pack_u64(47);
    check_mask_signs();
    check_speed();
    check_mask_refusals();
#if defined(__x86_64__) || defined(__aarch64__)
    check_registers();
#endif
}

static void check_fixed(void)
{
    const float values[] = {0.0f, -0.0f, 0.5f, 1.5f, -0.5f, -1.5f, 2.75f, -9.0f, 9.0f};
    const uint16_t lowest[9] = {0};
    uint16_t highest[9];
    uint32_t out[9];
    int64_t back[9];
    double real[9];
    uint64_t report = 99;
    memset(highest, 0xff, sizeof highest);

    CHECK(secagg_fixed_encode_u32(out, values, NULL, 9, 3.0, 1.0, 8, &report) == SECAGG_OK);
    CHECK(report == 2);
    secagg_fixed_center_u32(back, out, 9, 8);
    static const int64_t even[] = {0, 0, 0, 2, 0, -2, 3, -3, 3};
    CHECK(memcmp(back, even, sizeof even) == 0);

    CHECK(secagg_fixed_encode_u32(out, values, lowest, 9, 3.0, 1.0, 8, &report) == SECAGG_OK);
    secagg_fixed_center_u32(back, out, 9, 8);
    static const int64_t outward[] = {0, 0, 1, 2, -1, -2, 3, -3, 3};
    CHECK(memcmp(back, outward, sizeof outward) == 0);

    CHECK(secagg_fixed_encode_u32(out, values, highest, 9, 3.0, 1.0, 8, &report) == SECAGG_OK);
    secagg_fixed_decode_u32(real, out, 9, 8, 2.0);
    static const double inward[] = {0, 0, 0, 0.5, 0, -0.5, 1, -1.5, 1.5};
    for (size_t i = 0; i < 9; i++)
        CHECK(real[i] == inward[i]);

    const float bad[] = {1.0f, 2.0f, (float)NAN, (float)INFINITY};
    uint64_t wide[4] = {1, 1, 1, 1};
    CHECK(secagg_fixed_encode_u64(wide, bad, NULL, 4, 3.0, 1.0, 8, &report) ==
          SECAGG_NOT_FINITE);
    CHECK(report == 2 && wide[0] == 0 && wide[3] == 0);

    const float largest[] = {1.0f, -1.0f};
    const double scale = 9223372036854774784.0; /* the largest double below 2^63 */
    CHECK(secagg_fixed_encode_u64(wide, largest, highest, 2, 1.0, scale, 64, &report) == SECAGG_OK);
    CHECK(wide[0] == UINT64_C(9223372036854774784) && wide[1] == 0 - wide[0]);
}

/* Floats of both signs, some beyond the clip, some with long fractions. */
static float value_at(size_t i)
{
    const float size = (float)((i * 2654435761u) % 100003) / 4096.0f;
    return i % 3 == 0 ? -size : i % 7 == 0 ? size / 65536.0f : size;
}

/* The encoding with keystreams against the one with the same randomness from memory, and the mask
 * added afterwards; lengths and offsets around every batch and tile. */
#define CHECK_ENCODE(name, lane)                                                                  \
    static void check_encode_##name(size_t length, uint64_t offset, double clip, double scale,    \
                                    unsigned bits, int stochastic, int masked)                    \
    {                                                                                             \
        const struct secagg_mask_stream rounding = stream_of(nist_key128, 16, 1);                 \
        const struct secagg_mask_stream mask = stream_of(nist_key256, 32, 1);                     \
        const struct secagg_encoding encoding = {clip, scale, stochastic ? &rounding : NULL,      \
                                                 masked ? &mask : NULL, bits};                    \
        float *values = filled(length * sizeof *values);                                          \
        uint16_t *randomness = filled(length * sizeof *randomness);                               \
        lane *expected = filled(length * sizeof *expected);                                       \
        lane *out = filled(length * sizeof *out);                                                 \
        uint64_t report = 99, found = 77;                                                         \
        for (size_t i = 0; i < length; i++) {                                                     \
            values[i] = value_at(i);                                                              \
            randomness[i] = 0;                                                                    \
        }                                                                                         \
        if (stochastic)                                                                           \
            CHECK(secagg_mask_apply_u16(randomness, length, offset, &rounding, 1) == SECAGG_OK);  \
        CHECK(secagg_fixed_encode_##name(expected, values, stochastic ? randomness : NULL,        \
                                         length, clip, scale, bits, &report) == SECAGG_OK);       \
        if (masked)                                                                               \
            CHECK(secagg_mask_apply_##name(expected, length, offset, &mask, 1) == SECAGG_OK);     \
        CHECK(secagg_fixed_encode_masked_##name(out, values, length, offset, &encoding,           \
                                                &found) == SECAGG_OK);                            \
        CHECK(found == report);                                                                   \
        CHECK(length == 0 || memcmp(out, expected, length * sizeof *out) == 0);                   \
        if (length > 3) {                                                                         \
            values[length - 1] = (float)NAN;                                                      \
            values[length - 3] = -(float)INFINITY;                                                \
            CHECK(secagg_fixed_encode_masked_##name(out, values, length, offset, &encoding,       \
                                                    &found) == SECAGG_NOT_FINITE);                \
            CHECK(found == length - 3);                                                           \
            for (size_t i = 0; i < length; i++)                                                   \
                CHECK(out[i] == 0);                                                               \
        }                                                                                         \
        free(values);                                                                             \
        free(randomness);                                                                         \
        free(expected);                                                                           \
        free(out);                                                                                \
    }                                                                                             \
    static void check_encodes_##name(unsigned bits)                                               \
    {                                                                                             \
        static const size_t lengths[] = {0, 1, 7, 8, 127, 128, 129, 256, 1000, 2048, 4200};       \
        static const uint64_t offsets[] = {0, 1, 8, 128, 1000003};                                \
        static const double clips[] = {1.5, 0.1, 24.0, 3e38};                                     \
        const int kinds = secagg_cpu_has_masks() ? 4 : 1;                                         \
        for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++)                             \
            for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++)                         \
                for (size_t c = 0; c < sizeof clips / sizeof *clips; c++)                         \
                    for (int kind = 0; kind < kinds; kind++) {                                    \
                        const double room = ldexp(1.0, (int)bits - 2) / clips[c];                 \
                        const double power = ldexp(1.0, ilogb(room));                             \
                        check_encode_##name(lengths[n], offsets[o], clips[c], room, bits,         \
                                            kind & 1, kind >> 1);                                 \
                        check_encode_##name(lengths[n], offsets[o], clips[c], power, bits,        \
                                            kind & 1, kind >> 1);                                 \
                    }                                                                             \
    }

CHECK_ENCODE(u16, uint16_t)
CHECK_ENCODE(u32, uint32_t)
CHECK_ENCODE(u64, uint64_t)

static void check_encodes(void)
{
    check_encodes_u16(9);
    check_encodes_u16(16);
    check_encodes_u32(20);
    check_encodes_u32(32);
    check_encodes_u64(33);
    check_encodes_u64(50);
}

static void check_encode_refusals(void)
{
    const float value = 1.0f;
    struct secagg_mask_stream stream = stream_of(nist_key128, 16, 1);
    const struct secagg_encoding encoding = {1.0, 1.0, &stream, NULL, 8};
    const uint64_t last = (UINT64_C(1) << 35) - 1;
    uint64_t report = 5;
    uint16_t out = 3;
    if (!secagg_cpu_has_masks()) {
        CHECK(secagg_fixed_encode_masked_u16(&out, &value, 1, 0, &encoding, &report) ==
              SECAGG_UNAVAILABLE);
        CHECK(out == 3);
        return;
    }
    CHECK(secagg_fixed_encode_masked_u16(&out, &value, 1, last, &encoding, &report) == SECAGG_OK);
    out = 3;
    CHECK(secagg_fixed_encode_masked_u16(&out, &value, 1, last + 1, &encoding, &report) ==
          SECAGG_PARAMETER);
    stream.sign = -1;
    CHECK(secagg_fixed_encode_masked_u16(&out, &value, 1, 0, &encoding, &report) ==
          SECAGG_PARAMETER);
    stream.sign = 1;
    stream.key_size = 24;
    CHECK(secagg_fixed_encode_masked_u16(&out, &value, 1, 0, &encoding, &report) ==
          SECAGG_PARAMETER);
    CHECK(out == 3);
}

static void check_shamir(void)
{
    enum { COUNT = 2, HOLDERS = 7, THRESHOLD = 4, LIMBS = 5 };
    const uint64_t p = (UINT64_C(1) << 61) - 1;
    uint64_t points[HOLDERS] = {1, 2, 3, p - 1, 5, 6, UINT64_C(1) << 60};
    uint64_t coefficients[COUNT * LIMBS * (THRESHOLD - 1)];
    uint64_t shares[COUNT * HOLDERS * LIMBS];
    uint64_t chosen[COUNT * THRESHOLD * LIMBS];
    uint64_t lagrange[THRESHOLD];
    uint8_t secrets[COUNT * 32], back[COUNT * 32];

    memset(secrets, 0xff, 32); /* the largest limbs */
    memset(secrets + 32, 0x5a, 32);
    for (size_t i = 0; i < sizeof coefficients / sizeof *coefficients; i++)
        coefficients[i] = i % 3 == 0 ? p - 1 - i : i * UINT64_C(0x123456789abcdef) % p;
    CHECK(secagg_shamir_split_m61(shares, secrets, COUNT, coefficients, THRESHOLD - 1, points,
                                  HOLDERS) == SECAGG_OK);
    for (size_t first = 0; first + THRESHOLD <= HOLDERS; first++) {
        for (size_t s = 0; s < COUNT; s++)
            memcpy(chosen + s * THRESHOLD * LIMBS, shares + (s * HOLDERS + first) * LIMBS,
                   THRESHOLD * LIMBS * sizeof *shares);
        CHECK(secagg_shamir_lagrange_m61(lagrange, points + first, THRESHOLD) == SECAGG_OK);
        CHECK(secagg_shamir_combine_m61(back, chosen, COUNT, lagrange, THRESHOLD) == SECAGG_OK);
        CHECK(memcmp(back, secrets, sizeof secrets) == 0);
    }

    chosen[7] ^= 1;
    CHECK(secagg_shamir_combine_m61(back, chosen, COUNT, lagrange, THRESHOLD) ==
          SECAGG_INCONSISTENT);
    CHECK(back[0] == 0 && back[63] == 0);
    chosen[7] = p;
    CHECK(secagg_shamir_combine_m61(back, chosen, COUNT, lagrange, THRESHOLD) ==
          SECAGG_NOT_CANONICAL);
    coefficients[1] = p;
    CHECK(secagg_shamir_split_m61(shares, secrets, COUNT, coefficients, THRESHOLD - 1, points,
                                  HOLDERS) == SECAGG_NOT_CANONICAL);
    CHECK(shares[0] == 0 && shares[COUNT * HOLDERS * LIMBS - 1] == 0);

    points[1] = points[0];
    CHECK(secagg_shamir_lagrange_m61(lagrange, points, THRESHOLD) == SECAGG_PARAMETER);
    CHECK(lagrange[0] == 0);
    points[1] = 0;
    CHECK(secagg_shamir_lagrange_m61(lagrange, points, THRESHOLD) == SECAGG_PARAMETER);
    points[1] = p;
    CHECK(secagg_shamir_lagrange_m61(lagrange, points, THRESHOLD) == SECAGG_PARAMETER);
}

static void check_comparisons(void)
{
    static const uint64_t values[] = {0, 1, 2, (UINT64_C(1) << 61) - 1, INT64_MAX};
    for (size_t i = 0; i < 5; i++) {
        CHECK(is_nonzero(values[i]) == (values[i] != 0));
        for (size_t j = 0; j < 5; j++)
            CHECK(less_than(values[i], values[j]) == (values[i] < values[j]));
    }
    CHECK(is_nonzero(UINT64_MAX) == 1 && is_nonzero(UINT64_C(1) << 63) == 1);
    CHECK(mask_of(1) == UINT64_MAX && mask_of(0) == 0);
}

static void check_wipe(void)
{
    uint8_t *buffer = filled(100);
    secagg_bytes_wipe(buffer, 99);
    for (size_t i = 0; i < 99; i++)
        CHECK(buffer[i] == 0);
    CHECK(buffer[99] == 100);
    secagg_bytes_wipe(NULL, 0);
    free(buffer);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s portable|aesni|vaes|armv8\n", argv[0]);
        return 2;
    }
    CHECK(strcmp(secagg_cpu_selected(), "portable") == 0);
    CHECK(secagg_cpu_select("abacus") == SECAGG_UNAVAILABLE);
    if (!secagg_cpu_supported(argv[1])) {
        fprintf(stderr, "this CPU cannot run level %s\n", argv[1]);
        return SKIPPED;
    }
    CHECK(secagg_cpu_select(argv[1]) == SECAGG_OK);
    CHECK(strcmp(secagg_cpu_selected(), argv[1]) == 0);

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
    check_masks();
    check_fixed();
    check_encodes();
    check_encode_refusals();
    check_shamir();
    check_comparisons();
    check_wipe();
    if (failures != 0)
        fprintf(stderr, "%d checks failed at level %s\n", failures, argv[1]);
    return failures != 0;
}
