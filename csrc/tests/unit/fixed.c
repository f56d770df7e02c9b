/* Fixed point: rounding, saturation, refusals, and encodings with keystreams. */
#include "streams.h"
#include "unit.h"

#include <math.h>

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

int failures_of_fixed(void)
{
    check_fixed();
    check_encodes();
    check_encode_refusals();
    return failures;
}
