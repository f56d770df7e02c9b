/* Wiping, the levels by name, and the ceilings that `secagg speed` measures. */
#include "fuzz.h"

enum { MOST_BYTES = 2000, MOST_PASSES = 3 };

static void keystream(struct input *input)
{
    const size_t size = number(input, 2) % MOST_BYTES, passes = number(input, 1) % (MOST_PASSES + 1);
    const struct secagg_mask_stream stream = stream_of(input);
    const bool fine = size % 256 == 0 && (stream.key_size == 16 || stream.key_size == 32);
    EVERY_LEVEL(level)
    {
        uint8_t *out = room(size);
        uint64_t *expected = room(size / 8 * 8);
        memset(out, 0, size);
        memset(expected, 0, size / 8 * 8);
        const int status = secagg_speed_keystream(out, size, passes, &stream);
        if (!secagg_cpu_has_masks()) {
            EXPECT(status == SECAGG_UNAVAILABLE);
        } else if (!fine) {
            EXPECT(status == SECAGG_PARAMETER);
        } else {
            EXPECT(status == SECAGG_OK);
            struct secagg_mask_stream added = stream;
            added.sign = 1;
            if (passes != 0)
                EXPECT(secagg_mask_apply_u64(expected, size / 8, (passes - 1) * (size / 8),
                                             &added, 1) == SECAGG_OK);
            EXPECT(same(out, expected, size));
        }
        free(expected);
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    if (number(&input, 1) % 2 != 0) {
        keystream(&input);
        return 0;
    }
    char name[8] = {0};
    take(&input, name, sizeof name - 1);
    const int known = secagg_cpu_supported(name);
    EXPECT(secagg_cpu_select(name) == (known ? SECAGG_OK : SECAGG_UNAVAILABLE));
    EXPECT(!known || strcmp(secagg_cpu_selected(), name) == 0);

    const size_t length = input.size;
    uint8_t *bytes = taken(&input, length), *copy = room(length);
    secagg_speed_copy(copy, bytes, length);
    EXPECT(same(copy, bytes, length));
    uint64_t sum = 0, word;
    for (size_t at = 0; at + 8 <= length / 64 * 64; at += 8) {
        memcpy(&word, bytes + at, 8);
        sum += word;
    }
    EXPECT(secagg_speed_read(bytes, length) == sum);
    const size_t part = length / 3;
    secagg_bytes_wipe(copy + part, length - 2 * part);
    EXPECT(all_zero(copy + part, length - 2 * part));
    EXPECT(same(copy, bytes, part) && same(copy + length - part, bytes + length - part, part));
    free(copy);
    free(bytes);
    return 0;
}
