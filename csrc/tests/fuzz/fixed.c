/* Fixed point: any floats, with clips and scales that the contract allows. */
#include "fuzz.h"

#include <math.h>

enum { MOST_VALUES = 600 };

/* Finite and positive, over the whole range of doubles. */
static double positive(struct input *input)
{
    const double fraction = 1 + (double)number(input, 4) / 4294967296.0;
    return ldexp(fraction, (int)number(input, 2) % 2098 - 1074);
}

/* A clip and a scale with 0 < clip * scale and ceil(clip * scale) < 2^(bits-1), if these are. */
static bool rule(struct input *input, unsigned bits, double *clip, double *scale)
{
    const double most = ldexp(1, (int)bits - 1);
    const double part = ((double)number(input, 4) + 1) / 4294967296.0;
    const bool plain = number(input, 1) % 2 != 0;
    *clip = plain ? 1 + (double)number(input, 1) / 16 : positive(input);
    *scale = most * part / *clip;
    const double reach = *clip * *scale;
    return isfinite(*scale) && *scale > 0 && reach > 0 && ceil(reach) < most;
}

#define FIXED(n)                                                                                  \
    static void encode_u##n(struct input *input)                                                  \
    {                                                                                             \
        const size_t length = number(input, 2) % MOST_VALUES, size = length * (n / 8);            \
        const unsigned kind = (unsigned)number(input, 1);                                         \
        struct secagg_encoding rules;                                                             \
        memset(&rules, 0, sizeof rules);                                                          \
        rules.bits = (unsigned)number(input, 1) % (n - 1) + 2;                                    \
        if (!rule(input, rules.bits, &rules.clip, &rules.scale))                                  \
            return;                                                                               \
        const uint64_t offset = offset_of(input, n / 8);                                          \
        struct secagg_mask_stream rounding = stream_of(input), mask = stream_of(input);           \
        rounding.sign = mask.sign = 1;                                                            \
        rules.rounding = (kind & 1) != 0 ? &rounding : NULL;                                      \
        rules.mask = (kind & 2) != 0 ? &mask : NULL;                                              \
        const bool streams = (kind & 3) != 0;                                                     \
        const bool fine = (rules.rounding == NULL ||                                              \
                           (allowed(&rounding) && within_stream(offset, length, 2))) &&           \
                          (rules.mask == NULL ||                                                  \
                           (allowed(&mask) && within_stream(offset, length, n / 8)));             \
        float *values = taken(input, length * sizeof(float));                                     \
        if ((kind & 4) != 0)                                                                      \
            for (size_t i = 0; i < length; i++)                                                   \
                if (!isfinite(values[i]))                                                         \
                    values[i] = (float)i;                                                         \
        const uint##n##_t *none = room(size);                                                     \
        EVERY_LEVEL(level)                                                                        \
        {                                                                                         \
            uint##n##_t *out = copied(none, size), *expected = room(size);                        \
            uint64_t report = 7, told = 7;                                                        \
            const int status = secagg_fixed_encode_masked_u##n(out, values, length, offset,       \
                                                               &rules, &report);                  \
            if (streams && !secagg_cpu_has_masks()) {                                             \
                EXPECT(status == SECAGG_UNAVAILABLE && same(out, none, size));                    \
            } else if (!fine) {                                                                   \
                EXPECT(status == SECAGG_PARAMETER && same(out, none, size));                      \
            } else {                                                                              \
                uint16_t *random = room(length * 2);                                              \
                memset(random, 0, length * 2);                                                    \
                if (rules.rounding != NULL)                                                       \
                    EXPECT(secagg_mask_apply_u16(random, length, offset, &rounding, 1) ==         \
                           SECAGG_OK);                                                            \
                const int plain = secagg_fixed_encode_u##n(                                       \
                    expected, values, rules.rounding != NULL ? random : NULL, length,             \
                    rules.clip, rules.scale, rules.bits, &told);                                  \
                EXPECT(status == plain && report == told);                                        \
                if (plain == SECAGG_OK) {                                                         \
                    const double most = ceil(rules.clip * rules.scale);                           \
                    int64_t *centred = room(length * 8);                                          \
                    secagg_fixed_center_u##n(centred, expected, length, rules.bits);              \
                    for (size_t i = 0; i < length; i++)                                           \
                        EXPECT(fabs((double)centred[i]) <= most);                                 \
                    free(centred);                                                                \
                    if (rules.mask != NULL)                                                       \
                        EXPECT(secagg_mask_apply_u##n(expected, length, offset, &mask, 1) ==      \
                               SECAGG_OK);                                                        \
                    secagg_ring_reduce_u##n(out, length, rules.bits);                             \
                    secagg_ring_reduce_u##n(expected, length, rules.bits);                        \
                    EXPECT(same(out, expected, size));                                            \
                } else {                                                                          \
                    EXPECT(plain == SECAGG_NOT_FINITE && all_zero(out, size));                    \
                    EXPECT(all_zero(expected, size) && !isfinite(values[report]));                \
                }                                                                                 \
                free(random);                                                                     \
            }                                                                                     \
            free(expected);                                                                       \
            free(out);                                                                            \
        }                                                                                         \
        free((void *)none);                                                                       \
        free(values);                                                                             \
    }                                                                                             \
                                                                                                  \
    static void decode_u##n(struct input *input)                                                  \
    {                                                                                             \
        const size_t length = number(input, 2) % MOST_VALUES;                                     \
        const unsigned bits = (unsigned)number(input, 1) % n + 1;                                 \
        const double divisor = positive(input);                                                   \
        uint##n##_t *vector = taken(input, length * (n / 8));                                     \
        EVERY_LEVEL(level)                                                                        \
        {                                                                                         \
            int64_t *centred = room(length * 8);                                                  \
            double *decoded = room(length * 8);                                                   \
            secagg_fixed_center_u##n(centred, vector, length, bits);                              \
            secagg_fixed_decode_u##n(decoded, vector, length, bits, divisor);                     \
            for (size_t i = 0; i < length; i++) {                                                 \
                const uint64_t value = vector[i] & low_bits(bits);                                \
                const bool negative = value >> (bits - 1) != 0;                                   \
                EXPECT(((uint64_t)centred[i] & low_bits(bits)) == value);                         \
                EXPECT(negative == (centred[i] < 0));                                             \
                EXPECT(decoded[i] == (double)centred[i] / divisor);                               \
            }                                                                                     \
            free(decoded);                                                                        \
            free(centred);                                                                        \
        }                                                                                         \
        free(vector);                                                                             \
    }

FIXED(16)
FIXED(32)
FIXED(64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    switch (number(&input, 1) % 6) {
    case 0:
        encode_u16(&input);
        break;
    case 1:
        encode_u32(&input);
        break;
    case 2:
        encode_u64(&input);
        break;
    case 3:
        decode_u16(&input);
        break;
    case 4:
        decode_u32(&input);
        break;
    default:
        decode_u64(&input);
    }
    return 0;
}
