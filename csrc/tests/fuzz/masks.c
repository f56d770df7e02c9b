/* Masks: one at a time and several, added and packed, at every level that has them. */
#include "fuzz.h"

enum { MOST_LANES = 700, MOST_STREAMS = 5 };

#define MASKS(n)                                                                                  \
    static void masks_u##n(struct input *input)                                                   \
    {                                                                                             \
        const size_t length = number(input, 2) % MOST_LANES, size = length * (n / 8);             \
        const size_t count = number(input, 1) % (MOST_STREAMS + 1);                               \
        const unsigned bits = (unsigned)number(input, 1) % n + 1;                                 \
        const uint64_t offset = offset_of(input, n / 8);                                          \
        struct secagg_mask_stream *streams = room(count * sizeof *streams);                       \
        bool fine = within_stream(offset, length, n / 8);                                         \
        for (size_t k = 0; k < count; k++) {                                                      \
            streams[k] = stream_of(input);                                                        \
            fine = fine && allowed(&streams[k]);                                                  \
        }                                                                                         \
        uint##n##_t *start = taken(input, size), *first = NULL;                                   \
        EVERY_LEVEL(level)                                                                        \
        {                                                                                         \
            uint##n##_t *total = copied(start, size);                                             \
            uint8_t *packed = room(packed_size(length, bits));                                    \
            const int status = secagg_mask_apply_u##n(total, length, offset, streams, count);     \
            const int and_packed = secagg_mask_pack_u##n(packed, start, length, offset, bits,     \
                                                         streams, count);                         \
            if (!secagg_cpu_has_masks()) {                                                        \
                EXPECT(status == SECAGG_UNAVAILABLE && same(total, start, size));                 \
                EXPECT(length == 0 || and_packed == SECAGG_UNAVAILABLE);                          \
            } else if (!fine) {                                                                   \
                EXPECT(status == SECAGG_PARAMETER && same(total, start, size));                   \
                EXPECT(length == 0 || and_packed == SECAGG_PARAMETER);                            \
            } else {                                                                              \
                EXPECT(status == SECAGG_OK && and_packed == SECAGG_OK);                           \
                uint8_t *expected = room(packed_size(length, bits));                              \
                secagg_ring_pack_u##n(expected, total, length, bits);                             \
                EXPECT(same(packed, expected, packed_size(length, bits)));                        \
                free(expected);                                                                   \
                if (first == NULL)                                                                \
                    first = copied(total, size);                                                  \
                EXPECT(same(total, first, size));                                                 \
                for (size_t k = 0; k < count; k++) {                                              \
                    struct secagg_mask_stream back = streams[k];                                  \
                    back.sign = (int8_t)-back.sign;                                               \
                    EXPECT(secagg_mask_apply_u##n(total, length, offset, &back, 1) ==             \
                           SECAGG_OK);                                                            \
                }                                                                                 \
                EXPECT(same(total, start, size));                                                 \
            }                                                                                     \
            free(packed);                                                                         \
            free(total);                                                                          \
        }                                                                                         \
        free(first);                                                                              \
        free(start);                                                                              \
        free(streams);                                                                            \
    }

MASKS(16)
MASKS(32)
MASKS(64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    switch (number(&input, 1) % 3) {
    case 0:
        masks_u16(&input);
        break;
    case 1:
        masks_u32(&input);
        break;
    default:
        masks_u64(&input);
    }
    return 0;
}
