/* What the machine can do at best: the ceilings that `secagg speed` holds the kernels against. */
#include "internal.h"

enum { KEYSTREAM_STEP = 256 };

int secagg_speed_keystream(uint8_t *out, size_t size, size_t passes,
                           const struct secagg_mask_stream *stream)
{
    secagg_keystream_kernel *kernel = secagg_level()->keystream;
    if (kernel == NULL)
        return SECAGG_UNAVAILABLE;
    if ((stream->key_size != 16 && stream->key_size != 32) || size % KEYSTREAM_STEP != 0 ||
        size > secagg_stream_bytes || (size != 0 && passes > secagg_stream_bytes / size))
        return SECAGG_PARAMETER;
    kernel(out, size, passes, stream);
    return SECAGG_OK;
}

uint64_t secagg_speed_read(const uint8_t *buffer, size_t size)
{
    uint64_t sums[8] = {0};
    for (size_t i = 0; i + 64 <= size; i += 64)
        for (size_t j = 0; j < 8; j++) {
            uint64_t word;
            memcpy(&word, buffer + i + 8 * j, 8);
            sums[j] += word;
        }
    return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}

void secagg_speed_copy(uint8_t *to, const uint8_t *from, size_t size)
{
    memcpy(to, from, size);
}
